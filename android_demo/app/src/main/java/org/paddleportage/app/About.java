package org.paddleportage.app;

import android.content.Context;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import org.paddleportage.R;
import org.paddleportage.core.Device;
import org.paddleportage.core.PortageException;
import org.paddleportage.engine.Engine;
import org.paddleportage.engine.Engines;

/** What the app, its engines and this phone are, to be read out to whoever helps. */
final class About {
    private static final String LIBRARIES = "engines.json";

    private About() {}

    static String text(Context context, Engines engines) {
        Device device = ThisDevice.describe(context);
        StringBuilder text = new StringBuilder();
        text.append(context.getString(
                R.string.about_device,
                device.app(), device.device(), device.soc(), device.abi(), device.android()));
        for (Engine engine : engines.all()) {
            text.append("\n\n").append(line(context, engine));
        }
        return text.append("\n\n").append(libraries(context)).toString().trim();
    }

    private static String line(Context context, Engine engine) {
        PortageException problem = engine.problem();
        if (problem != null) {
            return Sentences.of(context, problem);
        }
        String version = engine.version() == null ? "" : engine.version();
        return context.getString(R.string.about_engine, engine.title(), version).trim();
    }

    /** Where the libraries are from, as the build wrote it down; Gradle's builds do not. */
    private static String libraries(Context context) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (InputStream in = context.getAssets().open(LIBRARIES)) {
            Files.copy(in, bytes);
            return bytes.toString("UTF-8");
        } catch (IOException absent) {
            return "";
        }
    }
}
