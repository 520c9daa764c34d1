package org.paddleportage.app;

import android.content.Context;
import android.content.res.AssetManager;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.TrustedKeys;
import org.paddleportage.engine.Engines;

/**
 * The packages on this phone: those inside the app, and those that adb put into the folder {@code
 * packages} of the app's files on shared storage. Engines read models from files, so the former
 * are unpacked.
 */
final class PackageStore {
    private static final String FOLDER = "packages";
    private static final String KEYS = "keys";

    private final List<ModelPackage> packages = new ArrayList<>();
    private final List<PortageException> problems = new ArrayList<>();
    private TrustedKeys keys = TrustedKeys.NONE;
    private ModelPackage first;

    private PackageStore() {}

    /** Finds the packages, and unpacks those that are new. Reads and writes many megabytes. */
    static PackageStore load(Context context, Engines engines) {
        PackageStore store = new PackageStore();
        try {
            store.keys = keys(context.getAssets());
        } catch (PortageException problem) {
            store.problems.add(problem); // and no package is opened with fewer keys than were meant
            return store;
        }
        store.loadAssets(context.getAssets(), new File(context.getNoBackupFilesDir(), FOLDER));
        store.loadFolder(context.getExternalFilesDir(FOLDER));
        store.first = store.firstThatRuns(engines);
        return store;
    }

    List<ModelPackage> packages() {
        return Collections.unmodifiableList(packages);
    }

    /** Those that packages must be signed with, if there are any. */
    TrustedKeys keys() {
        return keys;
    }

    /** What is wrong with packages that cannot be used. */
    List<PortageException> problems() {
        return Collections.unmodifiableList(problems);
    }

    /** The package of that title, else the first that runs here; null where there is none. */
    ModelPackage find(String title) {
        for (ModelPackage pack : packages) {
            if (title(pack).equals(title)) {
                return pack;
            }
        }
        return first;
    }

    private ModelPackage firstThatRuns(Engines engines) {
        for (ModelPackage pack : packages) {
            try {
                if (engines.of(pack).problem() == null) {
                    return pack;
                }
            } catch (PortageException unknownEngine) {
                // Choosing it says so.
            }
        }
        return packages.isEmpty() ? null : packages.get(0);
    }

    /** A package's name, e.g. "SqueezeNet1_1-lite-arm-fp32". */
    static String title(ModelPackage pack) {
        return pack.name() + "-" + pack.target() + "-" + pack.precision();
    }

    private void loadAssets(AssetManager assets, File root) {
        Set<String> names;
        try {
            names = list(assets, FOLDER);
        } catch (IOException error) {
            problems.add(unreadable(FOLDER, error));
            return;
        }
        removeOthers(root, names);
        for (String name : names) {
            try {
                File folder = new File(root, name);
                unpack(assets, FOLDER + "/" + name, folder);
                packages.add(ModelPackage.open(folder, keys));
            } catch (PortageException problem) {
                problems.add(problem);
            } catch (IOException error) {
                problems.add(unreadable(name, error));
            }
        }
    }

    private void loadFolder(File root) {
        File[] folders = root == null ? null : root.listFiles();
        if (folders == null) {
            return;
        }
        Arrays.sort(folders);
        for (File folder : folders) {
            try {
                add(ModelPackage.open(folder, keys));
            } catch (PortageException problem) {
                problems.add(problem);
            }
        }
    }

    /** Adds a package that adb brought; it takes the place of the app's own of the same name. */
    private void add(ModelPackage pack) {
        for (int i = 0; i < packages.size(); i++) {
            if (title(packages.get(i)).equals(title(pack))) {
                packages.set(i, pack);
                return;
            }
        }
        packages.add(pack);
    }

    /** Copies a package out of the app, unless the same one is there already. */
    private static void unpack(AssetManager assets, String from, File folder)
            throws IOException, PortageException {
        byte[] manifest = read(assets, from + "/" + ModelPackage.MANIFEST);
        boolean signed = list(assets, from).contains(ModelPackage.SIGNATURE);
        byte[] signature = signed ? read(assets, from + "/" + ModelPackage.SIGNATURE) : null;
        if (isThere(folder, ModelPackage.MANIFEST, manifest)
                && isThere(folder, ModelPackage.SIGNATURE, signature)) {
            return;
        }
        Files.delete(folder);
        // The manifest takes its name last: a folder that has it is whole.
        File part = new File(folder.getPath() + ".part");
        Files.delete(part);
        Files.write(new File(part, ModelPackage.MANIFEST), manifest);
        if (signature != null) {
            Files.write(new File(part, ModelPackage.SIGNATURE), signature);
        }
        for (String name : ModelPackage.open(part, TrustedKeys.NONE).fileNames()) {
            File file = new File(part, name);
            file.getParentFile().mkdirs();
            try (InputStream in = assets.open(from + "/" + name, AssetManager.ACCESS_STREAMING);
                    OutputStream out = new FileOutputStream(file)) {
                Files.copy(in, out);
            }
        }
        if (!part.renameTo(folder)) {
            throw new IOException("cannot be renamed");
        }
    }

    /** Whether a file has this content; null is none. */
    private static boolean isThere(File folder, String name, byte[] content) throws IOException {
        File file = new File(folder, name);
        return content == null ? !file.exists() : file.isFile() && Arrays.equals(content, Files.read(file));
    }

    private static TrustedKeys keys(AssetManager assets) throws PortageException {
        Map<String, String> texts = new TreeMap<>();
        try {
            for (String name : list(assets, KEYS)) {
                texts.put(name, new String(read(assets, KEYS + "/" + name), StandardCharsets.UTF_8));
            }
        } catch (IOException error) {
            throw unreadable(KEYS, error);
        }
        return TrustedKeys.read(texts);
    }

    /** The names of the files and folders in one of the app's folders. */
    private static Set<String> list(AssetManager assets, String folder) throws IOException {
        Set<String> names = new TreeSet<>();
        for (String path : assets.list(folder)) {
            names.add(path.split("/")[0]); // Robolectric lists what is further down too
        }
        return names;
    }

    private static void removeOthers(File root, Set<String> names) {
        File[] folders = root.listFiles();
        if (folders == null) {
            return;
        }
        for (File folder : folders) {
            if (!names.contains(folder.getName())) {
                Files.delete(folder);
            }
        }
    }

    private static byte[] read(AssetManager assets, String name) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (InputStream in = assets.open(name)) {
            Files.copy(in, bytes);
        }
        return bytes.toByteArray();
    }

    private static PortageException unreadable(String name, IOException error) {
        return new PortageException(Fault.UNREADABLE, name, error.getMessage());
    }
}
