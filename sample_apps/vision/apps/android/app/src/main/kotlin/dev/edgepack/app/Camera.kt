package dev.edgepack.app

import android.annotation.SuppressLint
import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Matrix
import android.graphics.RectF
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.params.OutputConfiguration
import android.hardware.camera2.params.SessionConfiguration
import android.hardware.display.DisplayManager
import android.util.Size
import android.view.Display
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
    private var device: CameraDevice? = null

    /** Whether it was opened and not closed since; the first frame may still be on its way. */
    var isOpen = false
        private set

    fun open() {
        isOpen = true
        if (view.isAvailable) return start()
        view.surfaceTextureListener = object : TextureView.SurfaceTextureListener {
            override fun onSurfaceTextureAvailable(surface: SurfaceTexture, width: Int, height: Int) = start()
            override fun onSurfaceTextureSizeChanged(surface: SurfaceTexture, width: Int, height: Int) = turn()
            override fun onSurfaceTextureDestroyed(surface: SurfaceTexture): Boolean = true
            override fun onSurfaceTextureUpdated(surface: SurfaceTexture) = Unit
        }
    }

    fun close() {
        isOpen = false
        device?.close()
        device = null
    }

    /** What the view shows, the right way up; null before the first frame. */
    fun frame(): Bitmap? = if (device == null) null else view.bitmap

    // The screen asks for the permission before it opens the camera.
    @SuppressLint("MissingPermission")
    private fun start() {
        if (!isOpen) return
        try {
            val id = manager.cameraIdList.firstOrNull { facing(it) == CameraCharacteristics.LENS_FACING_BACK }
                ?: manager.cameraIdList.firstOrNull()
                ?: return give(activity.getString(R.string.no_camera))
            manager.openCamera(id, activity.mainExecutor, opening(id))
        } catch (error: CameraAccessException) {
            give(error.toString())
        }
    }

    private fun facing(id: String): Int? =
        manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING)

    private fun opening(id: String) = object : CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            if (!isOpen) return camera.close()
            device = camera
            try {
                preview(camera, id)
            } catch (error: CameraAccessException) {
                give(error.toString())
            }
        }

        override fun onDisconnected(camera: CameraDevice) = give(activity.getString(R.string.no_camera))

        override fun onError(camera: CameraDevice, error: Int) =
            give("${activity.getString(R.string.no_camera)} ($error)")
    }

    private fun preview(camera: CameraDevice, id: String) {
        val texture = view.surfaceTexture ?: return give(activity.getString(R.string.no_camera))
        val size = previewSize(id)
        texture.setDefaultBufferSize(size.width, size.height)
        turn()
        val surface = Surface(texture)
        val request = camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW).apply { addTarget(surface) }.build()
        val started = object : CameraCaptureSession.StateCallback() {
            override fun onConfigured(session: CameraCaptureSession) {
                if (device !== camera) return
                try {
                    session.setRepeatingRequest(request, null, null)
                } catch (error: CameraAccessException) {
                    give(error.toString())
                }
            }

            override fun onConfigureFailed(session: CameraCaptureSession) = give(activity.getString(R.string.no_camera))
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

    /** The texture is upright in the natural orientation alone; in others it must be turned. */
    private fun turn() {
        val display = activity.getSystemService(DisplayManager::class.java).getDisplay(Display.DEFAULT_DISPLAY)
        val turns = display?.rotation ?: Surface.ROTATION_0
        val matrix = Matrix()
        val area = RectF(0f, 0f, view.width.toFloat(), view.height.toFloat())
        if (turns == Surface.ROTATION_90 || turns == Surface.ROTATION_270) {
            val turned = RectF(0f, 0f, area.height(), area.width())
            turned.offset(area.centerX() - turned.centerX(), area.centerY() - turned.centerY())
            matrix.setRectToRect(area, turned, Matrix.ScaleToFit.FILL)
            val scale = max(area.width() / turned.width(), area.height() / turned.height())
            matrix.postScale(scale, scale, area.centerX(), area.centerY())
            matrix.postRotate(90f * (turns - 2), area.centerX(), area.centerY())
        } else if (turns == Surface.ROTATION_180) {
            matrix.postRotate(180f, area.centerX(), area.centerY())
        }
        view.setTransform(matrix)
    }

    private fun give(message: String) {
        close()
        fail(message)
    }
}
