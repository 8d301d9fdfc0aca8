package dev.edgepack.app

import android.annotation.SuppressLint
import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Matrix
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.params.OutputConfiguration
import android.hardware.camera2.params.SessionConfiguration
import android.hardware.display.DisplayManager
import android.os.Build
import android.util.Size
import android.view.Surface
import android.view.TextureView
import kotlin.math.abs
import kotlin.math.max

/** The back camera's picture in a view, for as long as it is open. All calls on the main thread. */
class Camera(
    private val activity: Activity,
    private val view: TextureView,
    private val fail: (String) -> Unit,
) {
    private val manager = activity.getSystemService(CameraManager::class.java)
    private val displays = activity.getSystemService(DisplayManager::class.java)
    private var opening: Opening? = null
    private var device: CameraDevice? = null
    private var hasFrame = false

    /** Size of the picture in the natural orientation of the device. */
    private var natural = Size(480, 640)

    private val textures = object : TextureView.SurfaceTextureListener {
        override fun onSurfaceTextureAvailable(surface: SurfaceTexture, width: Int, height: Int) = start()
        override fun onSurfaceTextureSizeChanged(surface: SurfaceTexture, width: Int, height: Int) = turn()
        override fun onSurfaceTextureDestroyed(surface: SurfaceTexture): Boolean = true
        override fun onSurfaceTextureUpdated(surface: SurfaceTexture) {
            hasFrame = device != null
        }
    }

    // A turn of the device changes no size of the view, and from one landscape to the other no configuration.
    private val turned = object : DisplayManager.DisplayListener {
        override fun onDisplayAdded(id: Int) = Unit
        override fun onDisplayRemoved(id: Int) = Unit
        override fun onDisplayChanged(id: Int) = turn()
    }

    /** Whether it was opened and not closed since; the first frame may still be on its way. */
    var isOpen = false
        private set

    fun open() {
        isOpen = true
        view.keepScreenOn = true // nobody touches it while they point the camera
        displays.registerDisplayListener(turned, null)
        view.surfaceTextureListener = textures
        if (view.isAvailable) start()
    }

    fun close() {
        isOpen = false
        hasFrame = false
        opening = null
        view.keepScreenOn = false
        displays.unregisterDisplayListener(turned)
        device?.close()
        device = null
    }

    /** What the camera sees, the right way up; null before the first frame. */
    fun frame(): Bitmap? {
        if (!hasFrame) return null
        // Android 9 copies what the view shows, later versions the texture without the view's transform.
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return view.bitmap
        val plain = view.getBitmap(natural.width, natural.height) ?: return null
        val upright = Matrix().apply { setRotate(degrees()) }
        return Bitmap.createBitmap(plain, 0, 0, plain.width, plain.height, upright, true)
    }

    // The screen asks for the permission before it opens the camera.
    @SuppressLint("MissingPermission")
    private fun start() {
        if (!isOpen) return
        attempt {
            val id = manager.cameraIdList.firstOrNull { facing(it) == CameraCharacteristics.LENS_FACING_BACK }
                ?: manager.cameraIdList.firstOrNull()
                ?: return give(activity.getString(R.string.no_camera))
            val started = Opening(id)
            opening = started
            manager.openCamera(id, activity.mainExecutor, started)
        }
    }

    private fun facing(id: String): Int? =
        manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING)

    /** What the camera says of one call of `start`, also after that camera was closed and another opened. */
    private inner class Opening(private val id: String) : CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            if (opening !== this) return camera.close()
            device = camera
            attempt { preview(camera, id) }
        }

        override fun onDisconnected(camera: CameraDevice) = lose(camera, activity.getString(R.string.no_camera))

        override fun onError(camera: CameraDevice, error: Int) =
            lose(camera, "${activity.getString(R.string.no_camera)} ($error)")

        private fun lose(camera: CameraDevice, message: String) {
            camera.close()
            if (opening === this) give(message)
        }
    }

    private fun preview(camera: CameraDevice, id: String) {
        val texture = view.surfaceTexture ?: return give(activity.getString(R.string.no_camera))
        val size = previewSize(id)
        texture.setDefaultBufferSize(size.width, size.height)
        val sensor = manager.getCameraCharacteristics(id).get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 90
        natural = if (sensor % 180 == 90) Size(size.height, size.width) else size
        turn()
        val surface = Surface(texture)
        val request = camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW).apply { addTarget(surface) }.build()
        val started = object : CameraCaptureSession.StateCallback() {
            override fun onConfigured(session: CameraCaptureSession) {
                if (device === camera) attempt { session.setRepeatingRequest(request, null, null) }
            }

            override fun onConfigureFailed(session: CameraCaptureSession) {
                if (device === camera) give(activity.getString(R.string.no_camera))
            }
        }
        val outputs = listOf(OutputConfiguration(surface))
        camera.createCaptureSession(
            SessionConfiguration(SessionConfiguration.SESSION_REGULAR, outputs, activity.mainExecutor, started),
        )
    }

    /** The size nearest to 640 x 480, the shape of the view. */
    private fun previewSize(id: String): Size {
        val map = manager.getCameraCharacteristics(id).get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)
        val sizes = map?.getOutputSizes(SurfaceTexture::class.java).orEmpty()
        return sizes.filter { it.width * 3 == it.height * 4 }.minByOrNull { abs(it.width - 640) } ?: Size(640, 480)
    }

    /** How far the texture must be turned to be upright; it is without that in the natural orientation alone. */
    private fun degrees(): Float = -90f * turns()

    private fun turns(): Int = view.display?.rotation ?: Surface.ROTATION_0

    /** Show the texture upright and in its own shape; it fills the view, and what is beyond is cut off. */
    private fun turn() {
        if (view.width == 0 || view.height == 0) return
        val upright = if (turns() % 2 == 0) natural else Size(natural.height, natural.width)
        val scale = max(view.width / upright.width.toFloat(), view.height / upright.height.toFloat())
        val (centerX, centerY) = view.width / 2f to view.height / 2f
        val matrix = Matrix()
        // Without a transform the texture is stretched to the shape of the view.
        matrix.setScale(scale * natural.width / view.width, scale * natural.height / view.height, centerX, centerY)
        matrix.postRotate(degrees(), centerX, centerY)
        view.setTransform(matrix)
    }

    /**
     * Do what a camera may refuse, and say why it does.
     *
     * One that is taken, forbidden, unplugged or closed meanwhile throws CameraAccessException, SecurityException,
     * IllegalArgumentException or IllegalStateException.
     */
    private inline fun attempt(work: () -> Unit) = try {
        work()
    } catch (error: Exception) {
        give(error.toString())
    }

    private fun give(message: String) {
        close()
        fail(message)
    }
}
