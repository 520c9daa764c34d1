package org.paddleportage.app;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import android.content.Intent;
import android.graphics.Bitmap;
import android.graphics.drawable.BitmapDrawable;
import android.net.Uri;
import android.view.View;
import android.widget.ImageView;
import android.widget.Spinner;
import java.io.File;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.paddleportage.R;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.annotation.GraphicsMode;
import org.robolectric.shadows.ShadowLooper;

/** The main screen. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 35)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
public class MainScreenTest extends Screens {
    @Test
    @Config(qualifiers = PORTRAIT)
    public void aSampleIsRecognizedAsByTheToolkit() throws Exception {
        MainActivity main = samples("opencv");
        awaitRecognition(main);
        assertEquals(TOP, best(main));
        assertTrue(text(main, R.id.status).matches("[0-9.]+ ms median · [0-9.]+ ms p90"));
        String read = String.valueOf(top(main).getChildAt(0).getContentDescription());
        assertTrue(read, read.startsWith("1. " + TOP + ", "));
        assertFalse(isShown(main, R.id.message));
        assertEquals(
                "Signed with the key " + KEY + ", every file of it.", text(main, R.id.origin));
        draw(main, "main");
    }

    @Test
    @Config(qualifiers = CHINESE_NIGHT)
    public void atNightInChineseAndLyingTheSame() throws Exception {
        MainActivity main = samples("opencv");
        awaitRecognition(main);
        assertEquals(TOP, best(main));
        assertTrue(text(main, R.id.status).contains("毫秒"));
        draw(main, "main-zh-night-landscape");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void largeTextScrollsAndStaysWhole() throws Exception {
        RuntimeEnvironment.setFontScale(2.0f);
        MainActivity main = samples("onnx");
        awaitRecognition(main);
        View panel = (View) Views.<View>find(main, R.id.use_camera).getParent().getParent();
        assertTrue(panel.getHeight() > ((View) panel.getParent()).getHeight());
        assertTrue(((View) panel.getParent()).canScrollVertically(1));
        draw(main, "main-large-text");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void whatWasChosenOutlivesARotation() throws Exception {
        app.settings().setModel("SqueezeNet1_1-onnx-fp32");
        ActivityController<MainActivity> controller =
                Robolectric.buildActivity(MainActivity.class).setup();
        click(controller.get(), R.id.use_samples);
        RuntimeEnvironment.setQualifiers("+land");
        controller.recreate();
        awaitRecognition(controller.get());
        assertEquals(TOP, best(controller.get()));
        assertTrue(isShown(controller.get(), R.id.samples));
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void aFirstStartChoosesAModelThatRuns() throws Exception {
        MainActivity main = Robolectric.buildActivity(MainActivity.class).setup().get();
        Spinner models = Views.find(main, R.id.model);
        await("packages", () -> models.getAdapter() != null && models.getCount() == 3);
        String chosen = String.valueOf(models.getSelectedItem());
        assertTrue(chosen, chosen.startsWith("SqueezeNet1_1 fp32 · onnx"));
        click(main, R.id.use_samples);
        awaitRecognition(main);
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void aSharedPhotoIsTurnedUprightAndRecognized() throws Exception {
        Intent share = new Intent(Intent.ACTION_SEND).setType("image/jpeg");
        share.putExtra(Intent.EXTRA_STREAM, Uri.fromFile(PHOTO));
        MainActivity main = main("onnx", share);
        awaitRecognition(main);
        assertEquals(PHOTO_TOP, best(main));
        ImageView picture = Views.find(main, R.id.picture);
        Bitmap shown = ((BitmapDrawable) picture.getDrawable()).getBitmap();
        assertTrue(shown.getHeight() > shown.getWidth()); // it lies in the file
        draw(main, "photo");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void whatIsNoPhotoIsASentence() throws Exception {
        Intent share = new Intent(Intent.ACTION_SEND).setType("image/jpeg");
        share.putExtra(Intent.EXTRA_STREAM, Uri.fromFile(new File("/nowhere/at.jpg")));
        MainActivity main = main("onnx", share);
        await("a sentence", () -> text(main, R.id.message).startsWith("at.jpg cannot be read: "));
        draw(main, "no-photo");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void anEngineThatIsNotInsideIsASentence() throws Exception {
        MainActivity main = samples("lite-arm");
        await("a sentence", () -> text(main, R.id.message).contains("library is not inside"));
        assertTrue(isShown(main, R.id.message));
        assertTrue(isShown(main, R.id.retry));
        draw(main, "no-engine");
        click(main, R.id.use_camera);
        click(main, R.id.use_samples);
        assertTrue(text(main, R.id.message).contains("library is not inside"));
    }

    @Test
    @Config(qualifiers = CHINESE_NIGHT)
    public void theSentenceIsTranslated() throws Exception {
        MainActivity main = samples("lite-arm");
        await("a sentence", () -> text(main, R.id.message).contains("应用内没有 Paddle Lite 的库"));
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void aDamagedModelIsASentence() throws Exception {
        MainActivity first = main("onnx", null);
        first.finish();
        File packages = new File(app.getNoBackupFilesDir(), "packages");
        File model = new File(packages, "SqueezeNet1_1-onnx-fp32/model.onnx");
        byte[] bytes = Files.read(model);
        bytes[bytes.length / 2] ^= 1;
        Files.write(model, bytes);
        app.recognizer().choose(null);
        MainActivity main = samples("onnx");
        await("a sentence", () -> text(main, R.id.message).startsWith("model.onnx is damaged"));
        draw(main, "damaged-model");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void aPackageWhoseSignatureWasTakenAwayIsNotOpened() throws Exception {
        MainActivity main = stripped("onnx");
        await("a sentence", () -> text(main, R.id.message).startsWith("The package is not signed"));
        assertTrue(text(main, R.id.message), text(main, R.id.message).contains("knows (" + KEY));
        assertFalse(isShown(main, R.id.origin));
        assertEquals(0, top(main).getChildCount());
        draw(main, "not-signed");
    }

    @Test
    @Config(qualifiers = CHINESE_NIGHT)
    public void thatIsTranslated() throws Exception {
        MainActivity main = stripped("opencv");
        await("a sentence", () -> text(main, R.id.message).startsWith("模型包未签名"));
        draw(main, "not-signed-zh-night-landscape");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void withoutPermissionTheCameraIsASentence() throws Exception {
        MainActivity main = main("onnx", null);
        main.onRequestPermissionsResult(2, new String[] {"camera"}, new int[] {-1});
        assertTrue(text(main, R.id.message).startsWith("This app may not use the camera."));
        assertTrue(isShown(main, R.id.retry));
        draw(main, "no-permission");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void aPhoneWithoutACameraIsASentence() throws Exception {
        allow(app, "android.permission.CAMERA");
        MainActivity main = main("onnx", null);
        CameraSource[] camera = new CameraSource[1];
        int[] said = new int[1];
        camera[0] = new CameraSource(main, new CameraSource.Listener() {
            @Override
            public void opened(android.util.Size size, int sensorTurn) {}

            @Override
            public void frame(org.paddleportage.core.Photo photo) {}

            @Override
            public void failed(int sentence, String detail) {
                said[0] = sentence;
            }
        });
        camera[0].open(new android.graphics.SurfaceTexture(1), 0);
        ShadowLooper.idleMainLooper();
        camera[0].close();
        assertEquals(R.string.camera_none, said[0]);
    }
}
