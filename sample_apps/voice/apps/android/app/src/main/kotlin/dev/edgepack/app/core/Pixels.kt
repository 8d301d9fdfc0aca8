package dev.edgepack.app.core

/** A picture: rows of pixels, each of 1 (gray), 3 (RGB) or 4 (RGBA, not premultiplied) bytes. */
class Pixels(val width: Int, val height: Int, val channels: Int, val bytes: ByteArray) {
    init {
        require(width > 0 && height > 0) { "a picture of $width x $height pixels" }
        require(channels == 1 || channels == 3 || channels == 4) { "a picture of $channels channels" }
        require(bytes.size.toLong() == width.toLong() * height * channels) {
            "${bytes.size} bytes for $width x $height pixels of $channels channels"
        }
    }

    companion object {
        /** An opaque picture; `read` fills a row of colours as Android's Bitmap gives them, ARGB. */
        fun ofColors(width: Int, height: Int, read: (y: Int, row: IntArray) -> Unit): Pixels {
            val row = IntArray(width)
            val bytes = ByteArray(width * height * 3)
            var place = 0
            for (y in 0 until height) {
                read(y, row)
                for (color in row) {
                    bytes[place++] = (color shr 16).toByte()
                    bytes[place++] = (color shr 8).toByte()
                    bytes[place++] = color.toByte()
                }
            }
            return Pixels(width, height, 3, bytes)
        }
    }
}

/**
 * The picture with so many channels; gray ones are equal and opaque.
 *
 * Gray is (19595 R + 38470 G + 7471 B + 32768) >> 16, as in Pillow.
 */
fun recolored(pixels: Pixels, channels: Int, gray: Boolean): Pixels {
    val mono = gray || channels == 1
    if (pixels.channels == channels && (!mono || channels == 1)) return pixels
    val count = pixels.width * pixels.height
    val given = pixels.bytes
    val out = ByteArray(count * channels)
    for (pixel in 0 until count) {
        val from = pixel * pixels.channels
        val to = pixel * channels
        val luma = if (mono || pixels.channels == 1) lumaOf(pixels, from) else 0
        for (channel in 0 until minOf(channels, 3)) {
            out[to + channel] = if (mono || pixels.channels == 1) luma.toByte() else given[from + channel]
        }
        if (channels == 4) out[to + 3] = if (pixels.channels == 4 && !mono) given[from + 3] else -1
    }
    return Pixels(pixels.width, pixels.height, channels, out)
}

private fun lumaOf(pixels: Pixels, place: Int): Int {
    val red = pixels.bytes[place].toInt() and 0xFF
    if (pixels.channels == 1) return red
    val green = pixels.bytes[place + 1].toInt() and 0xFF
    val blue = pixels.bytes[place + 2].toInt() and 0xFF
    return (19595 * red + 38470 * green + 7471 * blue + 0x8000) shr 16
}

/** The picture turned as its EXIF orientation asks, 1 to 8; any other leaves it as it is. */
fun upright(pixels: Pixels, orientation: Int): Pixels {
    if (orientation !in 2..8) return pixels
    val turned = orientation >= 5
    val flipRows = if (turned) orientation == 7 || orientation == 8 else orientation == 3 || orientation == 4
    val flipColumns = if (turned) orientation == 6 || orientation == 7 else orientation == 2 || orientation == 3
    val width = if (turned) pixels.height else pixels.width
    val height = if (turned) pixels.width else pixels.height
    val size = pixels.channels
    val out = ByteArray(pixels.bytes.size)
    for (y in 0 until height) {
        val row = if (flipRows) height - 1 - y else y
        for (x in 0 until width) {
            val column = if (flipColumns) width - 1 - x else x
            val from = if (turned) column * pixels.width + row else row * pixels.width + column
            pixels.bytes.copyInto(out, (y * width + x) * size, from * size, (from + 1) * size)
        }
    }
    return Pixels(width, height, size, out)
}
