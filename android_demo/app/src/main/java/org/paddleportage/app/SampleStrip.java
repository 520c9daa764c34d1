package org.paddleportage.app;

import android.graphics.Bitmap;
import android.view.LayoutInflater;
import android.view.View;
import android.widget.ImageButton;
import android.widget.LinearLayout;
import java.util.ArrayList;
import java.util.List;
import org.paddleportage.R;
import org.paddleportage.core.Golden;
import org.paddleportage.core.Labels;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/** The photos that came with a package, side by side, to be tapped. */
final class SampleStrip {
    /** A photo as the package has it: uint8 [S, S, 3], and the name of what it shows. */
    record Sample(int index, byte[] crop, Bitmap bitmap, String label) {}

    interface Listener {
        void picked(Sample sample);
    }

    private final View frame;
    private final LinearLayout list;
    private final Listener listener;
    private ModelPackage filled;
    private List<Sample> samples = new ArrayList<>();

    SampleStrip(View frame, LinearLayout list, Listener listener) {
        this.frame = frame;
        this.list = list;
        this.listener = listener;
    }

    void setVisible(boolean visible) {
        frame.setVisibility(visible ? View.VISIBLE : View.GONE);
    }

    /** Picks a sample, or the first one where there are not so many. */
    void pick(int index) {
        if (!samples.isEmpty()) {
            listener.picked(samples.get(index < samples.size() ? index : 0));
        }
    }

    /** Shows a package's photos. They are read on another thread. */
    void fill(ModelPackage pack, DemoApp app) {
        if (pack == filled) {
            return;
        }
        filled = pack;
        app.work().execute(() -> {
            List<Sample> read = new ArrayList<>();
            try {
                Golden golden = pack.golden();
                Labels labels = pack.labels();
                for (int i = 0; i < golden.count(); i++) {
                    String label = labels.name(golden.label(i));
                    byte[] crop = golden.crop(i);
                    read.add(new Sample(i, crop, bitmap(crop, pack.side()), label));
                }
            } catch (PortageException unusable) {
                read.clear(); // the recognizer, which checks the whole package, says why
            }
            app.main().post(() -> show(pack, read));
        });
    }

    private void show(ModelPackage pack, List<Sample> read) {
        if (pack != filled) {
            return; // another one was chosen meanwhile
        }
        samples = read;
        list.removeAllViews();
        LayoutInflater inflater = LayoutInflater.from(list.getContext());
        for (Sample sample : read) {
            ImageButton button = (ImageButton) inflater.inflate(R.layout.sample, list, false);
            button.setImageBitmap(sample.bitmap());
            button.setContentDescription(
                    list.getContext().getString(R.string.sample_of, sample.label()));
            button.setOnClickListener(tapped -> listener.picked(sample));
            list.addView(button);
        }
        pick(0);
    }

    private static Bitmap bitmap(byte[] crop, int side) {
        int[] argb = new int[side * side];
        for (int i = 0; i < argb.length; i++) {
            int red = crop[3 * i] & 0xFF;
            int green = crop[3 * i + 1] & 0xFF;
            int blue = crop[3 * i + 2] & 0xFF;
            argb[i] = 0xFF000000 | red << 16 | green << 8 | blue;
        }
        return Bitmap.createBitmap(argb, side, side, Bitmap.Config.ARGB_8888);
    }
}
