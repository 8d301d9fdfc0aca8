package dev.edgepack.app

import android.Manifest
import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.content.pm.PackageManager
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.provider.MediaStore
import android.view.TextureView
import android.view.View
import android.widget.Button
import android.widget.ImageView
import android.widget.TextView
import dev.edgepack.app.core.Classified
import dev.edgepack.app.core.Classifier
import dev.edgepack.app.core.Pixels
import dev.edgepack.app.core.shown

/** What is in the picture of the camera, or in a photo? */
class ClassifyActivity : Activity() {
    private val worker = Worker(this) { openTask(applicationContext, ::Classifier) }
    private lateinit var camera: Camera

    // Counts the times that the camera was opened: a frame of an earlier one may still get its answer.
    private var watch = 0

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.classify)
        padForSystemBars(findViewById(R.id.root))
        camera = Camera(this, findViewById<TextureView>(R.id.preview), ::fail)
        findViewById<Button>(R.id.camera).setOnClickListener { toggleCamera() }
        findViewById<Button>(R.id.photo).setOnClickListener { choosePhoto() }
        findViewById<Button>(R.id.check).setOnClickListener { openCheck(this) }
    }

    override fun onStop() {
        stopCamera()
        super.onStop()
    }

    override fun onDestroy() {
        worker.close()
        super.onDestroy()
    }

    private fun toggleCamera() {
        if (camera.isOpen) return stopCamera()
        if (checkSelfPermission(Manifest.permission.CAMERA) != PackageManager.PERMISSION_GRANTED) {
            return requestPermissions(arrayOf(Manifest.permission.CAMERA), CAMERA)
        }
        showing(R.id.preview)
        findViewById<Button>(R.id.camera).setText(R.string.stop)
        camera.open()
        watch += 1
        classifyFrame(watch)
    }

    private fun stopCamera() {
        camera.close()
        findViewById<Button>(R.id.camera).setText(R.string.camera)
    }

    override fun onRequestPermissionsResult(code: Int, permissions: Array<String>, results: IntArray) {
        if (results.isEmpty()) return // the question was interrupted
        if (results.first() == PackageManager.PERMISSION_GRANTED) {
            toggleCamera()
        } else {
            fail(getString(R.string.camera_refused))
        }
    }

    /** One frame after the other, each when the one before has its answer. number: of the watch they belong to. */
    private fun classifyFrame(number: Int) {
        if (number != watch || !camera.isOpen) return
        val frame = camera.frame()
        if (frame == null) {
            findViewById<View>(R.id.preview).postDelayed({ classifyFrame(number) }, WAIT_MILLIS)
            return
        }
        worker.run(
            { it.classify(pixelsOf(frame)) },
            { classified ->
                if (number == watch && camera.isOpen) show(classified)
                classifyFrame(number)
            },
            ::fail,
        )
    }

    private fun choosePhoto() {
        stopCamera()
        val intent = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) {
            Intent(MediaStore.ACTION_PICK_IMAGES)
        } else {
            Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE)
        }
        try {
            startActivityForResult(intent.setType("image/*"), PHOTO)
        } catch (error: ActivityNotFoundException) {
            fail("${getString(R.string.no_photos)}\n${error.message}")
        }
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        val photo = data?.data
        if (requestCode == PHOTO && resultCode == RESULT_OK && photo != null) classifyPhoto(photo)
    }

    private fun classifyPhoto(photo: Uri) {
        findViewById<TextView>(R.id.answer).setText(R.string.running)
        worker.run(
            { classifier -> bitmapOf(photo).let { it to classifier.classify(pixelsOf(it)) } },
            { (bitmap, classified) ->
                // Who opened the camera meanwhile wants to see that.
                if (!camera.isOpen) {
                    showing(R.id.picture)
                    findViewById<ImageView>(R.id.picture).setImageBitmap(bitmap)
                    show(classified)
                }
            },
            ::fail,
        )
    }

    /** The photo the right way up, of no more than 12 megapixels. */
    private fun bitmapOf(photo: Uri): Bitmap =
        ImageDecoder.decodeBitmap(ImageDecoder.createSource(contentResolver, photo)) { decoder, info, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
            var sample = 1
            while (info.size.width.toLong() * info.size.height / (sample * sample) > MOST_PIXELS) sample += 1
            decoder.setTargetSampleSize(sample)
        }

    private fun pixelsOf(bitmap: Bitmap): Pixels = Pixels.ofColors(bitmap.width, bitmap.height) { y, row ->
        bitmap.getPixels(row, 0, bitmap.width, 0, y, bitmap.width, 1)
    }

    private fun showing(view: Int) {
        for (id in listOf(R.id.preview, R.id.picture)) {
            findViewById<View>(id).visibility = if (id == view) View.VISIBLE else View.GONE
        }
    }

    private fun show(classified: Classified) {
        findViewById<TextView>(R.id.answer).text =
            classified.classes.joinToString("\n") { "${it.label}  ${shown(Math.round(it.probability * 1000) / 10.0)} %" }
        findViewById<TextView>(R.id.details).text = getString(
            R.string.classify_times, shown(Math.rint(classified.prepareMillis)), shown(Math.rint(classified.modelMillis)),
        )
    }

    private fun fail(message: String) {
        stopCamera()
        findViewById<TextView>(R.id.answer).text = message
        findViewById<TextView>(R.id.details).text = ""
    }

    private companion object {
        const val CAMERA = 1
        const val PHOTO = 2
        const val WAIT_MILLIS = 50L
        const val MOST_PIXELS = 12_000_000L
    }
}
