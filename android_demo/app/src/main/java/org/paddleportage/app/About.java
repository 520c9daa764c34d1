package org.paddleportage.app;

import android.content.Context;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import org.paddleportage.R;
import org.paddleportage.core.Device;
import org.paddleportage.core.Inside;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.TrustedKeys;
import org.paddleportage.engine.Engine;
import org.paddleportage.engine.Engines;

/** What the app and this phone are, what is inside and under which licences. */
final class About {
    private static final String INSIDE = "inside.json";

    private About() {}

    static String text(Context context, Engines engines, TrustedKeys keys) {
        Device device = ThisDevice.describe(context);
        Inside inside = inside(context);
        StringBuilder text = new StringBuilder();
        text.append(context.getString(
                R.string.about_device,
                device.app(), device.device(), device.soc(), device.abi(), device.android()));
        for (Engine engine : engines.all()) {
            text.append("\n\n").append(line(context, engine));
            Inside.Library library = inside.libraries().get(engine.title());
            if (library != null) {
                text.append('\n').append(context.getString(
                        R.string.about_library, library.licence(), library.sha256()));
            }
        }
        for (Map.Entry<String, String> model : inside.models().entrySet()) {
            text.append("\n\n").append(model.getKey()).append(": ").append(model.getValue());
        }
        text.append("\n\n").append(keys.isEmpty()
                ? context.getString(R.string.about_no_keys)
                : context.getString(R.string.about_keys, keys.names()));
        return text.append("\n\n").append(context.getString(R.string.about_app)).toString();
    }

    private static String line(Context context, Engine engine) {
        PortageException problem = engine.problem();
        if (problem != null) {
            return Sentences.of(context, problem);
        }
        String version = engine.version() == null ? "" : " " + engine.version();
        return context.getString(R.string.about_engine, engine.title() + version);
    }

    /** What the build wrote down; Gradle's builds do not. */
    private static Inside inside(Context context) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (InputStream in = context.getAssets().open(INSIDE)) {
            Files.copy(in, bytes);
            return Inside.parse(bytes.toString("UTF-8"));
        } catch (IOException | PortageException absent) {
            return Inside.UNKNOWN;
        }
    }
}
