package org.paddleportage.app;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import android.app.Activity;
import android.app.Application;
import android.content.Intent;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.drawable.BitmapDrawable;
import android.net.Uri;
import android.view.View;
import android.widget.Button;
import android.widget.ImageView;
import android.widget.LinearLayout;
import android.widget.Spinner;
import android.widget.TableLayout;
import android.widget.TextView;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.function.BooleanSupplier;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.paddleportage.R;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.annotation.GraphicsMode;
import org.robolectric.shadow.api.Shadow;
import org.robolectric.shadows.ShadowApplication;
import org.robolectric.shadows.ShadowLooper;

/**
 * The screens on a JVM: Android's own views and drawing (Robolectric), the resources and packages
 * of the APK, and ONNX Runtime's desktop library. What was seen is kept as pictures.
 */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 35)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
public class ScreensTest {
    private static final File OUT = new File(System.getProperty("portage.out"));
    private static final File PHOTO = new File(System.getProperty("portage.photo"));
    private static final String TOP = System.getProperty("portage.top");
    private static final String PHOTO_TOP = System.getProperty("portage.photo_top");
    private static final String PORTRAIT = "w411dp-h731dp-port-xhdpi";
    private static final String CHINESE_NIGHT = "zh-rCN-w731dp-h411dp-land-night-xhdpi";
    private static final long LIMIT_MS = 60_000;

    private DemoApp app;

    @Before
    public void findApp() {
        app = (DemoApp) RuntimeEnvironment.getApplication();
    }

    private static void allow(Application app, String permission) {
        Shadow.<ShadowApplication>extract(app).grantPermissions(permission);
    }

    private static void await(String what, BooleanSupplier condition) throws Exception {
        long end = System.currentTimeMillis() + LIMIT_MS;
        ShadowLooper.idleMainLooper();
        while (!condition.getAsBoolean()) {
            assertTrue("in vain waited for " + what, System.currentTimeMillis() < end);
            Thread.sleep(20);
            ShadowLooper.idleMainLooper();
        }
    }

    private static void draw(Activity activity, String name) throws Exception {
        ShadowLooper.idleMainLooper(); // what was just said takes its place
        View all = activity.getWindow().getDecorView();
        Bitmap bitmap =
                Bitmap.createBitmap(all.getWidth(), all.getHeight(), Bitmap.Config.ARGB_8888);
        all.draw(new Canvas(bitmap));
        try (OutputStream out = new FileOutputStream(new File(OUT, name + ".png"))) {
            bitmap.compress(Bitmap.CompressFormat.PNG, 100, out);
        }
    }

    private static String text(View root, int id) {
        TextView view = Views.find(root, id);
        return view.getText().toString();
    }

    private static String text(Activity activity, int id) {
        return text(activity.getWindow().getDecorView(), id);
    }

    private static boolean isShown(Activity activity, int id) {
        return Views.<View>find(activity, id).isShown();
    }

    private static void click(Activity activity, int id) {
        Views.<View>find(activity, id).performClick();
    }

    /** The main screen with the package of that target chosen, and all packages unpacked. */
    private MainActivity main(String target, Intent intent) throws Exception {
        app.settings().setModel("SqueezeNet1_1-" + target + "-fp32");
        MainActivity main = Robolectric.buildActivity(MainActivity.class, intent).setup().get();
        await("packages", () -> Views.<Spinner>find(main, R.id.model).getAdapter() != null);
        assertEquals(text(main, R.id.problems), 2, Views.<Spinner>find(main, R.id.model).getCount());
        return main;
    }

    private MainActivity samples(String target) throws Exception {
        MainActivity main = main(target, null);
        click(main, R.id.use_samples);
        await("samples", () -> Views.<LinearLayout>find(main, R.id.sample_list).getChildCount() > 0);
        return main;
    }

    private static LinearLayout top(Activity main) {
        return Views.find(main, R.id.top);
    }

    private static void awaitRecognition(Activity main) throws Exception {
        await("a recognition", () -> text(main, R.id.status).contains("p90"));
        assertEquals(5, top(main).getChildCount());
    }

    private static String best(Activity main) {
        return text(top(main).getChildAt(0), R.id.guess_name);
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void aSampleIsRecognizedAsByTheToolkit() throws Exception {
        MainActivity main = samples("onnx");
        awaitRecognition(main);
        assertEquals(TOP, best(main));
        assertTrue(text(main, R.id.status).matches("[0-9.]+ ms median · [0-9.]+ ms p90"));
        String read = String.valueOf(top(main).getChildAt(0).getContentDescription());
        assertTrue(read, read.startsWith("1. " + TOP + ", "));
        assertFalse(isShown(main, R.id.message));
        draw(main, "main");
    }

    @Test
    @Config(qualifiers = CHINESE_NIGHT)
    public void atNightInChineseAndLyingTheSame() throws Exception {
        MainActivity main = samples("onnx");
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

    @Test
    @Config(qualifiers = PORTRAIT)
    public void theCheckAgreesWithTheToolkitAndIsShared() throws Exception {
        CheckActivity check = Robolectric.buildActivity(CheckActivity.class).setup().get();
        Button start = Views.find(check, R.id.start);
        await("packages", start::isEnabled);
        start.performClick();
        await("the end", () -> text(check, R.id.status).startsWith("Done"));
        assertEquals("Done: 1 of 2 models ran.", text(check, R.id.status));
        LinearLayout list = Views.find(check, R.id.results);
        assertEquals("NOT RUN", text(list.getChildAt(0), R.id.check_verdict));
        assertTrue(text(list.getChildAt(0), R.id.check_detail).contains("library is not inside"));
        assertEquals("PASS", text(list.getChildAt(1), R.id.check_verdict));
        draw(check, "check");

        click(check, R.id.share);
        String json = shared(check, "application/json");
        assertTrue(json, json.contains("\"verdict\": \"pass\"") || json.contains("\"verdict\":\"pass\""));
    }

    @Test
    @Config(qualifiers = CHINESE_NIGHT)
    public void theCheckInChinese() throws Exception {
        CheckActivity check = Robolectric.buildActivity(CheckActivity.class).setup().get();
        Button start = Views.find(check, R.id.start);
        await("packages", start::isEnabled);
        start.performClick();
        await("the end", () -> text(check, R.id.status).startsWith("完成"));
        draw(check, "check-zh-night-landscape");
    }

    /** The content of what a screen just shared, read as another app would. */
    private String shared(Activity activity, String type) throws Exception {
        Intent chooser = Shadow.<ShadowApplication>extract(app).getNextStartedActivity();
        assertNotNull("nothing was shared", chooser);
        Intent send = chooser.getParcelableExtra(Intent.EXTRA_INTENT);
        assertEquals(type, send.getType());
        assertTrue((send.getFlags() & Intent.FLAG_GRANT_READ_URI_PERMISSION) != 0);
        Uri uri = send.getParcelableExtra(Intent.EXTRA_STREAM);
        assertEquals(type, activity.getContentResolver().getType(uri));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (InputStream in = activity.getContentResolver().openInputStream(uri)) {
            Files.copy(in, bytes);
        }
        return bytes.toString("UTF-8");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void theBenchMeasuresEachNumberOfThreadsAndIsShared() throws Exception {
        app.settings().setModel("SqueezeNet1_1-onnx-fp32");
        BenchActivity bench = Robolectric.buildActivity(BenchActivity.class).setup().get();
        await("packages", () -> Views.<Spinner>find(bench, R.id.model).getCount() == 2);
        click(bench, R.id.start);
        await("the end", () -> text(bench, R.id.status).startsWith("Done"));
        TableLayout table = Views.find(bench, R.id.table);
        int lines = Settings.maxThreads();
        assertEquals(1 + lines, table.getChildCount());
        assertEquals("1", text(table.getChildAt(1), R.id.cell_threads));
        draw(bench, "bench");

        click(bench, R.id.share);
        String csv = shared(bench, "text/csv");
        assertEquals(1 + lines, csv.trim().split("\r\n").length);
        assertTrue(csv, csv.contains("thermal none"));
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void theBenchInLargeText() throws Exception {
        RuntimeEnvironment.setFontScale(2.0f);
        BenchActivity bench = Robolectric.buildActivity(BenchActivity.class).setup().get();
        await("packages", () -> Views.<Spinner>find(bench, R.id.model).getCount() == 2);
        draw(bench, "bench-large-text");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void theBenchCanBeStopped() throws Exception {
        app.settings().setModel("SqueezeNet1_1-onnx-fp32");
        BenchActivity bench = Robolectric.buildActivity(BenchActivity.class).setup().get();
        await("packages", () -> Views.<Spinner>find(bench, R.id.model).getCount() == 2);
        click(bench, R.id.start);
        await("it to run", () -> text(bench, R.id.status).contains("threads…"));
        click(bench, R.id.start);
        await("it to stop", () -> text(bench, R.id.status).equals("Stopped."));
        assertFalse(Views.<Button>find(bench, R.id.share).isEnabled());
    }

    @Test
    @Config(qualifiers = CHINESE_NIGHT)
    public void theBenchInChinese() throws Exception {
        app.settings().setModel("SqueezeNet1_1-onnx-fp32");
        BenchActivity bench = Robolectric.buildActivity(BenchActivity.class).setup().get();
        await("packages", () -> Views.<Spinner>find(bench, R.id.model).getCount() == 2);
        click(bench, R.id.start);
        await("the end", () -> text(bench, R.id.status).startsWith("完成"));
        draw(bench, "bench-zh-night-landscape");
    }

    @Test
    public void adbStartsCheckAndBenchAndFindsWhatTheyWrote() throws Exception {
        for (String word : new String[] {"check", "bench"}) {
            Intent intent = new Intent().putExtra("run", word).putExtra("out", word);
            intent.putExtra("runs", "3").putExtra("threads", "1");
            RunActivity run = Robolectric.buildActivity(RunActivity.class, intent).setup().get();
            await("the end of " + word, run::isFinishing);
            File from = new File(app.getExternalFilesDir("results"), word);
            for (File file : from.listFiles()) {
                Files.write(new File(new File(OUT, word), file.getName()), Files.read(file));
            }
        }
    }

    @Test
    public void aboutNamesThePhoneAndTheEngines() {
        String text = About.text(app, app.engines());
        assertTrue(text, text.contains("Paddle Lite's library is not inside"));
        assertTrue(text, text.contains("ONNX Runtime 1."));
    }
}
