package org.paddleportage.app;

import android.app.Activity;
import android.view.View;
import android.widget.AdapterView;
import android.widget.ArrayAdapter;
import android.widget.Spinner;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.paddleportage.R;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.engine.PowerMode;

/** The three lists to choose from: model, threads, power mode. What is chosen is kept. */
final class ModelPicker implements AdapterView.OnItemSelectedListener {
    interface Listener {
        void chosen(Choice choice);
    }

    private final Activity activity;
    private final Settings settings;
    private final Listener listener;
    private final Spinner models;
    private final Spinner threads;
    private final Spinner powers;
    private PackageStore store;

    ModelPicker(Activity activity, Settings settings, Listener listener) {
        this.activity = activity;
        this.settings = settings;
        this.listener = listener;
        models = Views.find(activity, R.id.model);
        threads = Views.find(activity, R.id.threads);
        powers = Views.find(activity, R.id.power);
        List<String> counts = new ArrayList<>();
        for (int count = 1; count <= Settings.maxThreads(); count++) {
            counts.add(String.valueOf(count));
        }
        fill(threads, counts, settings.threads() - 1);
        String[] modes = activity.getResources().getStringArray(R.array.power_modes);
        fill(powers, Arrays.asList(modes), settings.powerMode().ordinal());
    }

    /** Offers the packages, and chooses the one that was chosen last. */
    void fill(PackageStore found) {
        store = found;
        List<String> lines = new ArrayList<>();
        for (ModelPackage pack : found.packages()) {
            lines.add(line(pack));
        }
        ModelPackage last = found.find(settings.model());
        fill(models, lines, found.packages().indexOf(last));
        choose();
    }

    /** e.g. "SqueezeNet1_1 fp32 · lite-arm · 5.0 MB". */
    private String line(ModelPackage pack) {
        String size;
        try {
            size = Sentences.megabytes(pack.modelBytes());
        } catch (PortageException unknown) {
            size = "?"; // opening it will say what is wrong
        }
        String title = pack.name() + " " + pack.precision();
        return activity.getString(R.string.model_line, title, pack.target(), size);
    }

    private void fill(Spinner spinner, List<String> lines, int selected) {
        ArrayAdapter<String> adapter =
                new ArrayAdapter<>(activity, R.layout.choice, lines);
        adapter.setDropDownViewResource(R.layout.choice_item);
        spinner.setAdapter(adapter);
        spinner.setSelection(Math.max(0, selected));
        spinner.setOnItemSelectedListener(this);
    }

    /** Tells what is chosen, if there is a model at all. */
    void choose() {
        int index = models.getSelectedItemPosition();
        if (store == null || index < 0 || index >= store.packages().size()) {
            return;
        }
        ModelPackage pack = store.packages().get(index);
        listener.chosen(new Choice(pack, settings.threads(), settings.powerMode()));
    }

    @Override
    public void onItemSelected(AdapterView<?> spinner, View item, int index, long id) {
        if (spinner == models) {
            settings.setModel(PackageStore.title(store.packages().get(index)));
        } else if (spinner == threads) {
            settings.setThreads(index + 1);
        } else {
            settings.setPowerMode(PowerMode.values()[index]);
        }
        choose();
    }

    @Override
    public void onNothingSelected(AdapterView<?> spinner) {}
}
