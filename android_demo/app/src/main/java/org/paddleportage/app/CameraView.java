package org.paddleportage.app;

import android.content.Context;
import android.graphics.Matrix;
import android.graphics.RectF;
import android.graphics.SurfaceTexture;
import android.util.Size;
import android.view.Surface;
import android.view.TextureView;
import android.view.View;
import android.view.WindowManager;
import org.paddleportage.core.Photo;

/** The camera's picture on the screen: starts the camera once there is a surface to draw on. */
final class CameraView implements TextureView.SurfaceTextureListener {
    /** Hears of frames on the camera's thread, of failures on the main thread. */
    interface Listener {
        void frame(InputImage frame);

        void failed(int sentence, String detail);
    }

    private final TextureView view;
    private final Listener listener;
    private boolean wanted;
    private CameraSource camera;
    private Size size;
    private int sensorTurn;

    CameraView(TextureView view, Listener listener) {
        this.view = view;
        this.listener = listener;
        view.setSurfaceTextureListener(this);
    }

    void setVisible(boolean visible) {
        view.setVisibility(visible ? View.VISIBLE : View.GONE);
    }

    void start() {
        wanted = true;
        if (camera == null && view.isAvailable()) {
            camera = new CameraSource(view.getContext(), new Heard());
            camera.open(view.getSurfaceTexture(), displayTurn());
        }
    }

    void stop() {
        wanted = false;
        if (camera != null) {
            camera.close();
            camera = null;
        }
    }

    private int displayTurn() {
        WindowManager windows =
                (WindowManager) view.getContext().getSystemService(Context.WINDOW_SERVICE);
        switch (windows.getDefaultDisplay().getRotation()) {
            case Surface.ROTATION_90:
                return 90;
            case Surface.ROTATION_180:
                return 180;
            case Surface.ROTATION_270:
                return 270;
            default:
                return 0;
        }
    }

    private final class Heard implements CameraSource.Listener {
        @Override
        public void opened(Size picture, int turn) {
            view.post(() -> {
                size = picture;
                sensorTurn = turn;
                place();
            });
        }

        @Override
        public void frame(Photo photo) {
            listener.frame(preprocess -> preprocess.chw(photo));
        }

        @Override
        public void failed(int sentence, String detail) {
            view.post(() -> {
                if (wanted) {
                    stop();
                    listener.failed(sentence, detail);
                }
            });
        }
    }

    /**
     * Shows the whole picture, upright and not stretched. Android turns it so that it is upright
     * while the phone is held by default, and stretches it over the view.
     */
    private void place() {
        if (size == null) {
            return;
        }
        boolean lies = sensorTurn % 180 != 0;
        float width = lies ? size.getHeight() : size.getWidth();
        float height = lies ? size.getWidth() : size.getHeight();
        RectF whole = new RectF(0, 0, view.getWidth(), view.getHeight());
        RectF picture = new RectF(0, 0, width, height);
        picture.offset(whole.centerX() - picture.centerX(), whole.centerY() - picture.centerY());
        int turn = displayTurn();
        float shownWidth = turn % 180 == 0 ? width : height;
        float shownHeight = turn % 180 == 0 ? height : width;
        float scale = Math.min(whole.width() / shownWidth, whole.height() / shownHeight);
        Matrix matrix = new Matrix();
        matrix.setRectToRect(whole, picture, Matrix.ScaleToFit.FILL);
        matrix.postRotate(-turn, whole.centerX(), whole.centerY());
        matrix.postScale(scale, scale, whole.centerX(), whole.centerY());
        view.setTransform(matrix);
    }

    @Override
    public void onSurfaceTextureAvailable(SurfaceTexture texture, int width, int height) {
        if (wanted) {
            start();
        }
    }

    @Override
    public void onSurfaceTextureSizeChanged(SurfaceTexture texture, int width, int height) {
        place();
    }

    @Override
    public boolean onSurfaceTextureDestroyed(SurfaceTexture texture) {
        boolean started = wanted;
        stop();
        wanted = started; // the next surface goes on
        return true;
    }

    @Override
    public void onSurfaceTextureUpdated(SurfaceTexture texture) {}
}
