package org.paddleportage.app;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import android.content.Intent;
import android.widget.Button;
import android.widget.LinearLayout;
import android.widget.Spinner;
import android.widget.TableLayout;
import java.io.File;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.paddleportage.R;
import org.paddleportage.core.TrustedKeys;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.annotation.GraphicsMode;
import org.robolectric.fakes.RoboMenuItem;
import org.robolectric.shadows.ShadowDialog;
import org.robolectric.shadows.ShadowLooper;

/** The check, the bench, what adb starts, and About. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 35)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
public class ResultScreensTest extends Screens {
    @Test
    @Config(qualifiers = PORTRAIT)
    public void theCheckAgreesWithTheToolkitAndIsShared() throws Exception {
        CheckActivity check = Robolectric.buildActivity(CheckActivity.class).setup().get();
        Button start = Views.find(check, R.id.start);
        await("packages", start::isEnabled);
        start.performClick();
        await("the end", () -> text(check, R.id.status).startsWith("Done"));
        assertEquals("Done: 2 of 3 models ran.", text(check, R.id.status));
        LinearLayout list = Views.find(check, R.id.results);
        assertEquals("NOT RUN", text(list.getChildAt(0), R.id.check_verdict));
        assertTrue(text(list.getChildAt(0), R.id.check_detail).contains("library is not inside"));
        assertEquals("PASS", text(list.getChildAt(1), R.id.check_verdict));
        assertEquals("PASS", text(list.getChildAt(2), R.id.check_verdict));
        draw(check, "check");

        click(check, R.id.share);
        for (String json : shared(check, "application/json")) {
            assertTrue(json, json.contains("\"verdict\": \"pass\""));
        }
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

    @Test
    @Config(qualifiers = PORTRAIT)
    public void theBenchMeasuresEachNumberOfThreadsAndIsShared() throws Exception {
        app.settings().setModel("SqueezeNet1_1-opencv-fp32");
        BenchActivity bench = Robolectric.buildActivity(BenchActivity.class).setup().get();
        await("packages", () -> Views.<Spinner>find(bench, R.id.model).getCount() == 3);
        click(bench, R.id.start);
        await("the end", () -> text(bench, R.id.status).startsWith("Done"));
        TableLayout table = Views.find(bench, R.id.table);
        int lines = Settings.maxThreads();
        assertEquals(1 + lines, table.getChildCount());
        assertEquals("1", text(table.getChildAt(1), R.id.cell_threads));
        draw(bench, "bench");

        click(bench, R.id.share);
        String csv = shared(bench, "text/csv").get(0);
        assertEquals(1 + lines, csv.trim().split("\r\n").length);
        assertTrue(csv, csv.contains("thermal none"));
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void theBenchInLargeText() throws Exception {
        RuntimeEnvironment.setFontScale(2.0f);
        BenchActivity bench = Robolectric.buildActivity(BenchActivity.class).setup().get();
        await("packages", () -> Views.<Spinner>find(bench, R.id.model).getCount() == 3);
        draw(bench, "bench-large-text");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void theBenchCanBeStopped() throws Exception {
        app.settings().setModel("SqueezeNet1_1-opencv-fp32");
        BenchActivity bench = Robolectric.buildActivity(BenchActivity.class).setup().get();
        await("packages", () -> Views.<Spinner>find(bench, R.id.model).getCount() == 3);
        click(bench, R.id.start);
        await("it to run", () -> text(bench, R.id.status).contains("threads…"));
        click(bench, R.id.start);
        await("it to stop", () -> text(bench, R.id.status).equals("Stopped."));
        assertFalse(Views.<Button>find(bench, R.id.share).isEnabled());
    }

    @Test
    @Config(qualifiers = CHINESE_NIGHT)
    public void theBenchInChinese() throws Exception {
        app.settings().setModel("SqueezeNet1_1-opencv-fp32");
        BenchActivity bench = Robolectric.buildActivity(BenchActivity.class).setup().get();
        await("packages", () -> Views.<Spinner>find(bench, R.id.model).getCount() == 3);
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
        String text = About.text(app, app.engines(), TrustedKeys.NONE);
        assertTrue(text, text.contains("No key is inside: packages are opened whoever made them."));
        assertTrue(text, text.contains("Paddle Lite's library is not inside"));
        assertTrue(text, text.contains("ONNX Runtime 1."));
        assertTrue(text, text.contains("OpenCV 4."));
        assertTrue(text, text.contains("Licence: Apache-2.0. Linked into it: KleidiCV"));
        assertTrue(text, text.contains("SqueezeNet1_1-opencv-fp32: Weights: "));
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void aboutAndTheListsAreDrawn() throws Exception {
        MainActivity main = main("opencv", null);
        drawList(main, R.id.model, "list-models");
        drawList(main, R.id.power, "list-power");
        main.onOptionsItemSelected(new RoboMenuItem(R.id.about));
        ShadowLooper.idleMainLooper();
        drawView(ShadowDialog.getLatestDialog().getWindow().getDecorView(), "about");
    }

    @Test
    @Config(qualifiers = CHINESE_NIGHT)
    public void aboutInChinese() throws Exception {
        MainActivity main = main("opencv", null);
        drawList(main, R.id.power, "list-power-zh-night-landscape");
        main.onOptionsItemSelected(new RoboMenuItem(R.id.about));
        ShadowLooper.idleMainLooper();
        drawView(ShadowDialog.getLatestDialog().getWindow().getDecorView(), "about-zh-night-landscape");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void theBenchGoesOnWhileTheScreenIsMadeAnew() throws Exception {
        app.settings().setModel("SqueezeNet1_1-opencv-fp32");
        ActivityController<BenchActivity> controller =
                Robolectric.buildActivity(BenchActivity.class).setup();
        BenchActivity first = controller.get();
        await("packages", () -> Views.<Spinner>find(first, R.id.model).getCount() == 3);
        click(first, R.id.start);
        await("it to run", () -> text(first, R.id.status).contains("threads…"));
        RuntimeEnvironment.setQualifiers("+land-night");
        controller.recreate();
        BenchActivity second = controller.get();
        assertTrue(text(second, R.id.status).contains("threads…"));
        assertEquals("Stop", text(second, R.id.start));
        await("the end", () -> text(second, R.id.status).startsWith("Done"));
        TableLayout table = Views.find(second, R.id.table);
        assertEquals(1 + Settings.maxThreads(), table.getChildCount());
        controller.recreate();
        TableLayout again = Views.find(controller.get(), R.id.table);
        assertEquals(1 + Settings.maxThreads(), again.getChildCount());
        assertTrue(Views.<Button>find(controller.get(), R.id.share).isEnabled());
    }

    @Test
    public void whatAdbStartedGoesOnWhileTheScreenIsMadeAnew() throws Exception {
        Intent intent = new Intent().putExtra("run", "check").putExtra("out", "anew");
        ActivityController<RunActivity> controller =
                Robolectric.buildActivity(RunActivity.class, intent).setup();
        controller.recreate();
        await("the end", controller.get()::isFinishing);
        File results = new File(app.getExternalFilesDir("results"), "anew");
        assertTrue(new File(results, "done.json").isFile());
        assertEquals(3, results.list().length);
    }
}
