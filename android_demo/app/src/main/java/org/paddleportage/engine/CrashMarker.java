package org.paddleportage.engine;

import java.io.File;
import java.io.IOException;
import org.paddleportage.core.Fault;
import org.paddleportage.core.PortageException;

/**
 * A file beside a model that says "being opened", or run for the first time. A library that ends the
 * whole process (a version or an operator that it does not know) leaves it there, and the next start
 * can say so. It lies there no longer than that: Android may end an idle app at any time.
 */
final class OpeningNote {
    private final File note;

    private OpeningNote(File note) {
        this.note = note;
    }

    /** Leaves the note; where one is found, takes it away and refuses, so that a retry may pass. */
    static OpeningNote leave(String title, File model, String version) throws PortageException {
        File note = new File(model.getPath() + ".opening");
        try {
            if (!note.createNewFile()) {
                note.delete();
                throw new PortageException(Fault.ENDED_THE_APP, title, model.getName(), version);
            }
        } catch (IOException readOnly) {
            return new OpeningNote(note); // without the note a crash stays unexplained, no more
        }
        return new OpeningNote(note);
    }

    /** Leaves the note once more, for another step that may end the process. */
    void putBack() {
        try {
            note.createNewFile();
        } catch (IOException readOnly) {
            // As above.
        }
    }

    /** It went well, or failed with an error of its own: either way the process is still there. */
    void takeAway() {
        note.delete();
    }
}
