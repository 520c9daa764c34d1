package org.paddleportage.app;

import android.content.Context;
import android.graphics.ImageFormat;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.StreamConfigurationMap;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.os.HandlerThread;
import android.util.Size;
import android.view.Surface;
import java.util.Arrays;
import org.paddleportage.R;
import org.paddleportage.core.Photo;
import org.paddleportage.core.YuvPhoto;

/**
 * The camera at the back (else any), on a thread of its own: shows its picture on a texture, and
 * hands out the newest frame, upright.
 */
final class CameraSource implements AutoCloseable {
    /** Hears from the camera, on the camera's thread. */
    interface Listener {
        /** The picture's size, in pixels, as the sensor is built in, and by how much it is turned. */
        void opened(Size size, int sensorTurn);

        void frame(Photo photo);

        /** The camera cannot be used, or no longer: a sentence, and what Android says. */
        void failed(int sentence, String detail);
    }

    // Enough for every model (they look at 256 pixels and fewer), and cheap to convert.
    private static final int WIDTH = 640;
    private static final int HEIGHT = 480;

    private final CameraManager manager;
    private final Listener listener;
    private final HandlerThread thread = new HandlerThread("camera");
    private final Handler handler;
    private volatile int displayTurn;

    // Touched by the thread only.
    private boolean closed;
    private boolean opening;
    private CameraDevice device;
    private ImageReader frames;
    private Surface preview;
    private int sensorTurn;
    private boolean facesUser;

    CameraSource(Context context, Listener listener) {
        manager = (CameraManager) context.getSystemService(Context.CAMERA_SERVICE);
        this.listener = listener;
        thread.start();
        handler = new Handler(thread.getLooper());
    }

    /**
     * Opens the camera; the app has the permission.
     *
     * @param displayTurn by how much the screen is turned from how the phone is held by default:
     *     0, 90, 180 or 270 degrees
     */
    void open(SurfaceTexture texture, int displayTurn) {
        this.displayTurn = displayTurn;
        handler.post(() -> {
            try {
                openOnThread(texture);
            } catch (CameraAccessException | SecurityException | IllegalArgumentException error) {
                listener.failed(R.string.camera_failed, error.getMessage());
            }
        });
    }

    private void openOnThread(SurfaceTexture texture) throws CameraAccessException {
        String id = choose();
        if (id == null) {
            listener.failed(R.string.camera_none, "");
            return;
        }
        CameraCharacteristics facts = manager.getCameraCharacteristics(id);
        StreamConfigurationMap streams =
                facts.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
        Integer orientation = facts.get(CameraCharacteristics.SENSOR_ORIENTATION);
        sensorTurn = orientation == null ? 90 : orientation;
        facesUser = isFacing(facts, CameraCharacteristics.LENS_FACING_FRONT);
        if (streams == null) {
            listener.failed(R.string.camera_none, "");
            return;
        }
        Size size = nearest(streams.getOutputSizes(ImageFormat.YUV_420_888));
        texture.setDefaultBufferSize(size.getWidth(), size.getHeight());
        preview = new Surface(texture);
        frames = ImageReader.newInstance(
                size.getWidth(), size.getHeight(), ImageFormat.YUV_420_888, 2);
        frames.setOnImageAvailableListener(this::take, handler);
        listener.opened(size, sensorTurn);
        opening = true;
        manager.openCamera(id, new Opened(), handler);
    }

    private String choose() throws CameraAccessException {
        String[] ids = manager.getCameraIdList();
        for (String id : ids) {
            if (isFacing(
                    manager.getCameraCharacteristics(id), CameraCharacteristics.LENS_FACING_BACK)) {
                return id;
            }
        }
        return ids.length > 0 ? ids[0] : null;
    }

    private static boolean isFacing(CameraCharacteristics facts, int direction) {
        Integer facing = facts.get(CameraCharacteristics.LENS_FACING);
        return facing != null && facing == direction;
    }

    /** The size whose number of pixels is nearest to what is wanted. */
    private static Size nearest(Size[] sizes) {
        Size best = sizes[0];
        for (Size size : sizes) {
            if (distance(size) < distance(best)) {
                best = size;
            }
        }
        return best;
    }

    private static long distance(Size size) {
        return Math.abs((long) size.getWidth() * size.getHeight() - WIDTH * HEIGHT);
    }

    private void take(ImageReader reader) {
        try (Image image = reader.acquireLatestImage()) {
            if (image != null) {
                listener.frame(photo(image));
            }
        } catch (IllegalStateException closing) {
            // The camera was closed while a frame was on its way.
        }
    }

    private Photo photo(Image image) {
        Image.Plane[] planes = image.getPlanes();
        int turn = facesUser ? sensorTurn + displayTurn : sensorTurn - displayTurn;
        return new YuvPhoto(
                planes[0].getBuffer(),
                planes[1].getBuffer(),
                planes[2].getBuffer(),
                planes[0].getRowStride(),
                planes[1].getRowStride(),
                planes[1].getPixelStride(),
                image.getWidth(),
                image.getHeight(),
                (turn + 360) % 360);
    }

    /** Closes the camera, and waits until it is, so that the next screen can open it. */
    @Override
    public void close() {
        handler.post(() -> {
            closed = true;
            if (!opening) { // else as soon as it is open
                end();
            }
        });
        try {
            thread.join(2000);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void end() {
        if (device != null) {
            device.close();
        }
        if (frames != null) {
            frames.close();
        }
        if (preview != null) {
            preview.release();
        }
        thread.quitSafely();
    }

    private final class Opened extends CameraDevice.StateCallback {
        @Override
        public void onOpened(CameraDevice camera) {
            device = camera;
            opening = false;
            if (closed) {
                end();
                return;
            }
            try {
                camera.createCaptureSession(
                        Arrays.asList(preview, frames.getSurface()), new Running(), handler);
            } catch (CameraAccessException | IllegalStateException error) {
                listener.failed(R.string.camera_failed, error.getMessage());
            }
        }

        @Override
        public void onDisconnected(CameraDevice camera) {
            lost(camera, R.string.camera_taken, "");
        }

        @Override
        public void onError(CameraDevice camera, int error) {
            lost(camera, R.string.camera_failed, String.valueOf(error));
        }

        private void lost(CameraDevice camera, int sentence, String detail) {
            opening = false;
            camera.close();
            if (closed) {
                end();
            } else {
                listener.failed(sentence, detail);
            }
        }
    }

    private final class Running extends CameraCaptureSession.StateCallback {
        @Override
        public void onConfigured(CameraCaptureSession session) {
            if (closed) {
                return;
            }
            try {
                CaptureRequest.Builder request =
                        device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
                request.addTarget(preview);
                request.addTarget(frames.getSurface());
                request.set(
                        CaptureRequest.CONTROL_AF_MODE,
                        CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE);
                session.setRepeatingRequest(request.build(), null, handler);
            } catch (CameraAccessException | IllegalStateException error) {
                listener.failed(R.string.camera_failed, error.getMessage());
            }
        }

        @Override
        public void onConfigureFailed(CameraCaptureSession session) {
            listener.failed(R.string.camera_failed, frames.getWidth() + " × " + frames.getHeight());
        }
    }
}
