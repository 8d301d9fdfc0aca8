// What Android's sources keep in a module of its own, MediaProvider, and the surface of Android 14 here lacks.
// Source: developer.android.com/reference/android/provider/MediaStore.
package android.provider

class MediaStore private constructor() {
    companion object {
        const val ACTION_PICK_IMAGES: String = "android.provider.action.PICK_IMAGES"
    }
}
