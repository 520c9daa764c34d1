package org.paddleportage.app;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import android.app.Activity;
import android.app.Application;
import android.content.Intent;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.net.Uri;
import android.view.View;
import android.widget.LinearLayout;
import android.widget.Spinner;
import android.widget.TextView;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.junit.Before;
import org.paddleportage.R;
import org.robolectric.Robolectric;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.shadow.api.Shadow;
import org.robolectric.shadows.ShadowApplication;
import org.robolectric.shadows.ShadowLooper;

/**
 * The screens on a JVM: Android's own views and drawing (Robolectric), the resources and packages
 * of the APK, and the desktop libraries of OpenCV and ONNX Runtime. What was seen is kept as
 * pictures.
 */
abstract class Screens {
    static final File OUT = new File(System.getProperty("portage.out"));
    static final File PHOTO = new File(System.getProperty("portage.photo"));
    static final String TOP = System.getProperty("portage.top");
    static final String PHOTO_TOP = System.getProperty("portage.photo_top");
    static final String KEY = System.getProperty("portage.key");
    static final String PORTRAIT = "w411dp-h731dp-port-xhdpi";
    static final String CHINESE_NIGHT = "zh-rCN-w731dp-h411dp-land-night-xhdpi";
    static final long LIMIT_MS = 60_000;

    DemoApp app;

    @Before
    public void findApp() {
        app = (DemoApp) RuntimeEnvironment.getApplication();
    }

    static void allow(Application app, String permission) {
        Shadow.<ShadowApplication>extract(app).grantPermissions(permission);
    }

    static void await(String what, BooleanSupplier condition) throws Exception {
        long end = System.currentTimeMillis() + LIMIT_MS;
        ShadowLooper.idleMainLooper();
        while (!condition.getAsBoolean()) {
            assertTrue("in vain waited for " + what, System.currentTimeMillis() < end);
            Thread.sleep(20);
            ShadowLooper.idleMainLooper();
        }
    }

    static void draw(Activity activity, String name) throws Exception {
        ShadowLooper.idleMainLooper(); // what was just said takes its place
        drawView(activity.getWindow().getDecorView(), name);
    }

    static void drawView(View all, String name) throws Exception {
        Bitmap bitmap =
                Bitmap.createBitmap(all.getWidth(), all.getHeight(), Bitmap.Config.ARGB_8888);
        all.draw(new Canvas(bitmap));
        try (OutputStream out = new FileOutputStream(new File(OUT, name + ".png"))) {
            bitmap.compress(Bitmap.CompressFormat.PNG, 100, out);
        }
    }

    static String text(View root, int id) {
        TextView view = Views.find(root, id);
        return view.getText().toString();
    }

    static String text(Activity activity, int id) {
        return text(activity.getWindow().getDecorView(), id);
    }

    static boolean isShown(Activity activity, int id) {
        return Views.<View>find(activity, id).isShown();
    }

    static void click(Activity activity, int id) {
        Views.<View>find(activity, id).performClick();
    }

    /** The main screen with the package of that target chosen, and all packages unpacked. */
    MainActivity main(String target, Intent intent) throws Exception {
        app.settings().setModel("SqueezeNet1_1-" + target + "-fp32");
        MainActivity main = Robolectric.buildActivity(MainActivity.class, intent).setup().get();
        await("packages", () -> Views.<Spinner>find(main, R.id.model).getAdapter() != null);
        assertEquals(text(main, R.id.problems), 3, Views.<Spinner>find(main, R.id.model).getCount());
        return main;
    }

    MainActivity samples(String target) throws Exception {
        MainActivity main = main(target, null);
        click(main, R.id.use_samples);
        await("samples", () -> Views.<LinearLayout>find(main, R.id.sample_list).getChildCount() > 0);
        return main;
    }

    /** Takes the signature of an unpacked package away, and opens the package again. */
    MainActivity stripped(String target) throws Exception {
        main(target, null).finish();
        File packages = new File(app.getNoBackupFilesDir(), "packages");
        String name = "SqueezeNet1_1-" + target + "-fp32";
        assertTrue(new File(new File(packages, name), "model.sig").delete());
        app.recognizer().choose(null);
        return samples(target);
    }

    static LinearLayout top(Activity main) {
        return Views.find(main, R.id.top);
    }

    static void awaitRecognition(Activity main) throws Exception {
        await("a recognition", () -> text(main, R.id.status).contains("p90"));
        assertEquals(5, top(main).getChildCount());
    }

    static String best(Activity main) {
        return text(top(main).getChildAt(0), R.id.guess_name);
    }

    /** The contents of what a screen just shared, read as another app would. */
    List<String> shared(Activity activity, String type) throws Exception {
        Intent chooser = Shadow.<ShadowApplication>extract(app).getNextStartedActivity();
        assertNotNull("nothing was shared", chooser);
        Intent send = chooser.getParcelableExtra(Intent.EXTRA_INTENT);
        assertEquals(type, send.getType());
        assertTrue((send.getFlags() & Intent.FLAG_GRANT_READ_URI_PERMISSION) != 0);
        List<Uri> uris = Intent.ACTION_SEND.equals(send.getAction())
                ? List.of(send.<Uri>getParcelableExtra(Intent.EXTRA_STREAM))
                : send.getParcelableArrayListExtra(Intent.EXTRA_STREAM);
        List<String> texts = new ArrayList<>();
        for (Uri uri : uris) {
            assertEquals(type, activity.getContentResolver().getType(uri));
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            try (InputStream in = activity.getContentResolver().openInputStream(uri)) {
                Files.copy(in, bytes);
            }
            texts.add(bytes.toString("UTF-8"));
        }
        return texts;
    }

    /** Draws a list's choices, as they open below one another. */
    static void drawList(Activity activity, int id, String name) throws Exception {
        Spinner spinner = Views.find(activity, id);
        LinearLayout list = new LinearLayout(activity);
        list.setOrientation(LinearLayout.VERTICAL);
        list.setBackground(spinner.getPopupBackground());
        for (int i = 0; i < spinner.getCount(); i++) {
            list.addView(spinner.getAdapter().getDropDownView(i, null, list));
        }
        list.measure(
                View.MeasureSpec.makeMeasureSpec(spinner.getWidth(), View.MeasureSpec.EXACTLY),
                View.MeasureSpec.UNSPECIFIED);
        list.layout(0, 0, list.getMeasuredWidth(), list.getMeasuredHeight());
        drawView(list, name);
    }
}
