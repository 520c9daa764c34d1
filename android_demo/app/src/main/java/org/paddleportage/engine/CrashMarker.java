package org.paddleportage.engine;

import java.io.File;
import java.io.IOException;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/**
 * A file beside a model that says "being opened", or run for the first time. A library that ends the
 * whole process (a version or an operator that it does not know) leaves it there, and the next start
 * can say so. It lies there no longer than that: Android may end an idle app at any time.
 */
final class CrashMarker {
    private final File file;

    private CrashMarker(File file) {
        this.file = file;
    }

    /** Sets the marker; where one is found, clears it and refuses, so that a retry may pass. */
    static CrashMarker set(String title, File model, String version) throws PortageException {
        File file = new File(model.getPath() + ModelPackage.OPENING);
        try {
            if (!file.createNewFile()) {
                file.delete();
                throw new PortageException(Fault.ENDED_THE_APP, title, model.getName(), version);
            }
        } catch (IOException readOnly) {
            return new CrashMarker(file); // without it a crash stays unexplained, no more
        }
        return new CrashMarker(file);
    }

    /** Sets it once more, for another step that may end the process. */
    void setAgain() {
        try {
            file.createNewFile();
        } catch (IOException readOnly) {
            // As above.
        }
    }

    /** It went well, or failed with an error of its own: either way the process is still there. */
    void clear() {
        file.delete();
    }
}
