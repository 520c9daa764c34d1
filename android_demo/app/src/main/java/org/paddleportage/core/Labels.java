package org.paddleportage.core;

import java.io.File;
import java.util.Collections;
import java.util.ArrayList;
import java.util.List;

/** What a model's classes are called. */
public final class Labels {
    private final List<String> names;

    private Labels(List<String> names) {
        this.names = names;
    }

    /** Reads one name per class, a line each, in order. */
    public static Labels read(File file, int classes) throws PortageException {
        List<String> names = new ArrayList<>();
        Collections.addAll(names, WholeFile.text(file).split("\r?\n", -1));
        if (names.get(names.size() - 1).isEmpty()) {
            names.remove(names.size() - 1); // after the last line's end
        }
        if (names.size() != classes) {
            throw new PortageException(Fault.LABEL_COUNT, file.getName(), names.size(), classes);
        }
        return new Labels(names);
    }

    public int size() {
        return names.size();
    }

    public String name(int index) {
        return names.get(index);
    }
}
