package org.paddleportage.app;

import android.Manifest;
import android.app.Activity;
import android.app.AlertDialog;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.graphics.Bitmap;
import android.net.Uri;
import android.os.Bundle;
import android.provider.Settings;
import android.view.Menu;
import android.view.MenuItem;
import android.view.View;
import android.view.WindowManager;
import android.widget.Button;
import android.widget.ImageView;
import android.widget.TextView;
import org.paddleportage.R;
import org.paddleportage.core.Origin;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.TrustedKeys;

/** The main screen: what the camera, or a photo, shows, in the chosen model's opinion. */
public final class MainActivity extends Activity implements Recognizer.Listener {
    private static final int PICK = 1;
    private static final int PERMISSION = 2;
    private static final String SOURCE = "source";
    private static final String PHOTO = "photo";
    private static final String SAMPLE = "sample";

    private enum Source {
        CAMERA,
        PHOTO,
        SAMPLES
    }

    private DemoApp app;
    private CameraView camera;
    private ImageView picture;
    private TextView message;
    private Button retry;
    private TextView status;
    private TopView top;
    private ModelPicker picker;
    private SampleStrip samples;

    private Source source = Source.CAMERA;
    private Uri photo;
    private int sample;
    private boolean visible;
    private PortageException unopened;
    private TrustedKeys keys = TrustedKeys.NONE;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.activity_main);
        app = (DemoApp) getApplication();
        picture = Views.find(this, R.id.picture);
        message = Views.find(this, R.id.message);
        retry = Views.find(this, R.id.retry);
        status = Views.find(this, R.id.status);
        top = new TopView(Views.find(this, R.id.top));
        camera = new CameraView(Views.find(this, R.id.preview), new Camera());
        samples = new SampleStrip(
                Views.find(this, R.id.samples),
                Views.find(this, R.id.sample_list),
                this::showSample);
        picker = new ModelPicker(this, app.settings(), this::choose);
        findViewById(R.id.use_camera).setOnClickListener(button -> use(Source.CAMERA));
        findViewById(R.id.use_photo).setOnClickListener(button -> pickPhoto());
        findViewById(R.id.use_samples).setOnClickListener(button -> use(Source.SAMPLES));
        if (saved != null) {
            source = Source.valueOf(saved.getString(SOURCE));
            photo = saved.getParcelable(PHOTO);
            sample = saved.getInt(SAMPLE);
        } else {
            takeShared(getIntent());
        }
        status.setText(R.string.loading);
        app.whenLoaded(this::show);
    }

    @Override
    protected void onSaveInstanceState(Bundle out) {
        super.onSaveInstanceState(out);
        out.putString(SOURCE, source.name());
        out.putParcelable(PHOTO, photo);
        out.putInt(SAMPLE, sample);
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        if (takeShared(intent)) {
            use(Source.PHOTO);
        }
    }

    /** Another app's photo, where it shared one. */
    private boolean takeShared(Intent intent) {
        Uri shared = Intent.ACTION_SEND.equals(intent.getAction())
                ? (Uri) intent.getParcelableExtra(Intent.EXTRA_STREAM)
                : null;
        if (shared != null) {
            photo = shared;
            source = Source.PHOTO;
        }
        return shared != null;
    }

    @Override
    protected void onStart() {
        super.onStart();
        visible = true;
        app.recognizer().listen(this);
        use(source);
        picker.choose();
    }

    @Override
    protected void onStop() {
        visible = false;
        camera.stop();
        app.recognizer().listen(null);
        super.onStop();
    }

    @Override
    protected void onDestroy() {
        if (isFinishing()) {
            app.recognizer().choose(null);
        }
        super.onDestroy();
    }

    // ---- models ----

    private void show(PackageStore store) {
        if (isDestroyed()) {
            return;
        }
        keys = store.keys();
        StringBuilder problems = new StringBuilder();
        for (PortageException problem : store.problems()) {
            problems.append(Sentences.of(this, problem)).append('\n');
        }
        if (store.packages().isEmpty()) {
            problems.append(getString(R.string.no_packages));
        }
        Views.setOrHide(Views.find(this, R.id.problems), problems.toString().trim());
        status.setText("");
        picker.fill(store);
    }

    private void choose(Choice choice) {
        samples.fill(choice.pack(), app);
        if (visible) {
            app.recognizer().choose(choice);
        }
    }

    // ---- where the photos come from ----

    private void use(Source chosen) {
        source = chosen;
        select(R.id.use_camera, chosen == Source.CAMERA);
        select(R.id.use_photo, chosen == Source.PHOTO);
        select(R.id.use_samples, chosen == Source.SAMPLES);
        picture.setVisibility(chosen == Source.CAMERA ? View.GONE : View.VISIBLE);
        picture.setImageDrawable(null);
        samples.setVisible(chosen == Source.SAMPLES);
        top.clear();
        sayWhetherOpen();
        if (chosen == Source.CAMERA) {
            getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
            startCamera();
            return;
        }
        getWindow().clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        camera.stop();
        camera.setVisible(false);
        if (chosen == Source.SAMPLES) {
            samples.pick(sample);
        } else if (photo != null) {
            readPhoto(photo);
        }
    }

    private void select(int button, boolean selected) {
        findViewById(button).setSelected(selected);
    }

    private void startCamera() {
        boolean allowed =
                checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED;
        camera.setVisible(allowed);
        if (allowed) {
            camera.start();
        } else if (shouldShowRequestPermissionRationale(Manifest.permission.CAMERA)) {
            askForCamera();
        } else {
            requestPermissions(new String[] {Manifest.permission.CAMERA}, PERMISSION);
        }
    }

    private void askForCamera() {
        Runnable ask = () ->
                requestPermissions(new String[] {Manifest.permission.CAMERA}, PERMISSION);
        say(getString(R.string.camera_permission), ask);
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] permissions, int[] results) {
        if (results.length == 0 || source != Source.CAMERA) {
            return; // interrupted by a rotation: the new screen asks again
        }
        if (results[0] == PackageManager.PERMISSION_GRANTED) {
            use(Source.CAMERA);
        } else if (shouldShowRequestPermissionRationale(Manifest.permission.CAMERA)) {
            askForCamera();
        } else {
            say(getString(R.string.camera_permission), this::openAppSettings);
        }
    }

    private void openAppSettings() {
        Uri app = Uri.fromParts("package", getPackageName(), null);
        startActivity(new Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, app));
    }

    private final class Camera implements CameraView.Listener {
        @Override
        public void frame(InputImage frame) {
            app.recognizer().offer(frame);
        }

        @Override
        public void failed(int sentence, String detail) {
            say(getString(sentence, detail), () -> use(Source.CAMERA));
        }
    }

    private void pickPhoto() {
        Intent pick = new Intent(Intent.ACTION_GET_CONTENT);
        pick.setType("image/*");
        pick.addCategory(Intent.CATEGORY_OPENABLE);
        if (pick.resolveActivity(getPackageManager()) == null) {
            say(getString(R.string.no_gallery), null);
        } else {
            startActivityForResult(pick, PICK);
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (request == PICK && result == RESULT_OK && data != null && data.getData() != null) {
            photo = data.getData();
            source = Source.PHOTO;
            if (visible) { // before onStart or after it: Android's versions differ
                use(Source.PHOTO);
            }
        }
    }

    private void readPhoto(Uri uri) {
        app.work().execute(() -> {
            try {
                Bitmap bitmap = new PhotoReader(this).read(uri);
                app.main().post(() -> showPhoto(uri, bitmap));
            } catch (PortageException problem) {
                app.main().post(() -> fault(problem));
            }
        });
    }

    private void showPhoto(Uri uri, Bitmap bitmap) {
        if (visible && source == Source.PHOTO && uri.equals(photo)) {
            picture.setImageBitmap(bitmap);
            app.recognizer().offer(preprocess -> preprocess.chw(new BitmapPhoto(bitmap)));
        }
    }

    private void showSample(SampleStrip.Sample shown) {
        if (source != Source.SAMPLES) {
            return;
        }
        sample = shown.index();
        picture.setImageBitmap(shown.bitmap());
        picture.setContentDescription(getString(R.string.sample_of, shown.label()));
        app.recognizer().offer(preprocess -> preprocess.normalize(shown.crop()));
    }

    // ---- what the model says ----

    @Override
    public void opening() {
        unopened = null;
        Views.setOrHide(Views.find(this, R.id.origin), "");
        top.clear();
        status.setText(R.string.opening);
        say("", null);
        if (source != Source.CAMERA) {
            use(source); // the photo is asked again, of the new model
        }
    }

    @Override
    public void opened(Origin origin) {
        status.setText("");
        Views.setOrHide(Views.find(this, R.id.origin), Sentences.of(this, origin));
    }

    @Override
    public void unopened(PortageException problem) {
        unopened = problem;
        status.setText("");
        sayWhetherOpen();
    }

    /** A model that cannot be opened stays said, whatever photos are chosen. */
    private void sayWhetherOpen() {
        if (unopened == null) {
            say("", null);
        } else {
            say(Sentences.of(this, unopened), picker::choose);
        }
    }

    @Override
    public void recognized(Recognition recognition) {
        top.show(recognition);
        String speed = Sentences.latency(this, recognition.latency());
        if (source == Source.CAMERA) {
            speed = getString(R.string.with_fps, speed, recognition.perSecond());
        }
        status.setText(speed);
    }

    @Override
    public void fault(PortageException problem) {
        top.clear();
        status.setText("");
        say(Sentences.of(this, problem), () -> use(source));
    }

    /** Shows a sentence over the picture; {@code again} is what its button does, null for none. */
    private void say(String sentence, Runnable again) {
        Views.setOrHide(message, sentence);
        retry.setVisibility(again == null ? View.GONE : View.VISIBLE);
        retry.setOnClickListener(button -> again.run());
    }

    // ---- the menu ----

    @Override
    public boolean onCreateOptionsMenu(Menu menu) {
        getMenuInflater().inflate(R.menu.main, menu);
        return true;
    }

    @Override
    public boolean onOptionsItemSelected(MenuItem item) {
        int id = item.getItemId();
        if (id == R.id.check) {
            startActivity(new Intent(this, CheckActivity.class));
        } else if (id == R.id.bench) {
            startActivity(new Intent(this, BenchActivity.class));
        } else if (id == R.id.about) {
            showAbout();
        } else {
            return super.onOptionsItemSelected(item);
        }
        return true;
    }

    private void showAbout() {
        new AlertDialog.Builder(this)
                .setTitle(R.string.app_name)
                .setMessage(About.text(this, app.engines(), keys))
                .setPositiveButton(android.R.string.ok, null)
                .show();
    }
}
