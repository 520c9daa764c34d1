package org.paddleportage.core;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * A folder that {@code make package} made: a model, how photos become its input, its classes'
 * names, and golden photos with the logits that the toolkit computed. Its form is described in
 * docs/package.md.
 */
public final class ModelPackage {
    /** The package's list of its own files. */
    public static final String MANIFEST = "manifest.json";

    /** The signature, where there is one; the manifest, which it covers, does not list it. */
    public static final String SIGNATURE = "model.sig";

    /** What the app itself puts after a model's name, for a file beside it while it is opened. */
    public static final String OPENING = ".opening";

    private static final int SCHEMA = 2;
    private static final String PREPROCESS = "preprocess.json";
    private static final String LABELS = "labels.txt";

    private final File folder;
    private final TrustedKeys keys;
    private final String manifestSha256;
    private final Map<String, Fields> files = new LinkedHashMap<>();
    private final String model;
    private final String name;
    private final String target;
    private final String precision;
    private final String weights;
    private final String engine;
    private final String engineVersion;
    private final String modelName;
    private final int classes;
    private final int side;
    private final boolean numericGate;
    private final String photosName;
    private final String photosSha256;

    private ModelPackage(File folder, TrustedKeys keys, Fields manifest, String manifestSha256)
            throws PortageException {
        this.folder = folder;
        this.keys = keys;
        this.manifestSha256 = manifestSha256;
        model = manifest.text("model");
        name = manifest.text("name");
        target = manifest.text("target");
        precision = manifest.text("precision");
        weights = manifest.text("weights");
        engine = manifest.text("engine");
        engineVersion = manifest.text("engine_version");
        classes = manifest.count("class_num");
        int[] shape = manifest.indices("input_shape", 3, 1 << 14);
        if (shape[0] != 3 || shape[1] < 1 || shape[1] != shape[2]) {
            throw manifest.wrong("input_shape");
        }
        side = shape[1];
        String gate = manifest.text("gate");
        numericGate = gate.equals("numeric");
        if (classes < 1) {
            throw manifest.wrong("class_num");
        }
        if (!numericGate && !gate.equals("statistical")) {
            throw manifest.wrong("gate");
        }
        Fields photos = manifest.fields("data");
        photosName = photos.text("name");
        photosSha256 = photos.text("sha256");
        Fields listed = manifest.fields("files");
        for (Object file : manifest.object("files").keySet()) {
            files.put(inside((String) file), listed.fields((String) file));
        }
        modelName = modelFileIn(files, manifest);
    }

    /**
     * Reads a package's manifest. The other files are read when they are asked for.
     *
     * @param keys those that may have signed it
     */
    public static ModelPackage open(File folder, TrustedKeys keys) throws PortageException {
        byte[] content = WholeFile.bytes(new File(folder, MANIFEST));
        Fields manifest = Fields.parse(new String(content, StandardCharsets.UTF_8), MANIFEST);
        int schema = manifest.count("schema");
        if (schema != SCHEMA) {
            throw new PortageException(Fault.OTHER_SCHEMA, MANIFEST, schema, SCHEMA);
        }
        return new ModelPackage(folder, keys, manifest, Sha256.of(content));
    }

    /** The one file that is a model, whatever the engine. */
    private static String modelFileIn(Map<String, Fields> files, Fields manifest)
            throws PortageException {
        for (String name : files.keySet()) {
            if (name.startsWith("model.")) {
                return name;
            }
        }
        throw manifest.wrong("files");
    }

    /** A manifest comes from elsewhere: no name in it may lead out of the package's folder. */
    private static String inside(String name) throws PortageException {
        boolean leaves = name.startsWith("/") || name.contains("\\") || name.contains(":");
        for (String part : name.split("/", -1)) {
            leaves |= part.isEmpty() || part.equals(".") || part.equals("..");
        }
        for (int i = 0; i < name.length(); i++) {
            leaves |= Character.isISOControl(name.charAt(i));
        }
        if (leaves || name.equals(MANIFEST) || name.equals(SIGNATURE)) {
            throw new PortageException(Fault.UNSAFE_NAME, MANIFEST, name);
        }
        return name;
    }

    /**
     * Looks for files that the manifest does not list, compares every file's size and sha256 with
     * it, and checks who signed all that; takes as long as reading the files.
     *
     * @return all that is wrong; empty for a whole package that may be opened
     */
    public List<PortageException> problems() {
        List<PortageException> problems = new ArrayList<>();
        try {
            findUnlisted(folder, "", problems);
        } catch (IOException error) {
            problems.add(WholeFile.unreadable(folder, error));
        }
        for (Map.Entry<String, Fields> listed : files.entrySet()) {
            try {
                check(listed.getKey(), listed.getValue());
            } catch (PortageException problem) {
                problems.add(problem);
            }
        }
        try {
            origin();
        } catch (PortageException problem) {
            problems.add(problem);
        }
        return problems;
    }

    private void findUnlisted(File at, String before, List<PortageException> problems)
            throws IOException {
        File[] inside = at.listFiles();
        if (inside == null) {
            throw new IOException("it is no folder");
        }
        Arrays.sort(inside);
        File real = at.getCanonicalFile();
        for (File file : inside) {
            String name = before + file.getName();
            if (!file.getCanonicalFile().equals(new File(real, file.getName()))) {
                problems.add(new PortageException(Fault.IS_LINK, name));
            } else if (file.isDirectory()) {
                findUnlisted(file, name + "/", problems);
            } else if (!isKnown(name)) {
                problems.add(new PortageException(Fault.UNLISTED, name));
            }
        }
    }

    private boolean isKnown(String name) {
        return files.containsKey(name) || name.equals(MANIFEST) || name.equals(SIGNATURE)
                || name.equals(modelName + OPENING);
    }

    /**
     * Who made the package. The signature is held against what the manifest says of every file,
     * which {@link #problems} holds against the files.
     *
     * @throws PortageException where keys are built in, and none of them signed just this
     */
    public Origin origin() throws PortageException {
        File signature = new File(folder, SIGNATURE);
        boolean signed = signature.isFile();
        if (keys.isEmpty()) {
            return new Origin(signed ? Origin.Kind.UNCHECKED : Origin.Kind.UNSIGNED, "");
        }
        if (!signed) {
            throw new PortageException(Fault.NOT_SIGNED, SIGNATURE, keys.names());
        }
        SignatureFile found = SignatureFile.verified(signature, keys);
        Map<String, String> here = new TreeMap<>();
        here.put(MANIFEST, manifestSha256);
        for (Map.Entry<String, Fields> listed : files.entrySet()) {
            here.put(listed.getKey(), listed.getValue().text("sha256"));
        }
        Set<String> changed = new TreeSet<>(here.keySet());
        changed.addAll(found.digests().keySet());
        for (Map.Entry<String, String> one : here.entrySet()) {
            if (one.getValue().equals(found.digests().get(one.getKey()))) {
                changed.remove(one.getKey());
            }
        }
        if (!changed.isEmpty()) {
            throw new PortageException(
                    Fault.CHANGED_AFTER_SIGNING, String.join(", ", changed));
        }
        return new Origin(Origin.Kind.SIGNED, found.key());
    }

    private void check(String name, Fields listed) throws PortageException {
        File file = new File(folder, name);
        String expected = listed.text("sha256");
        long bytes = listed.bytes("bytes");
        if (!file.isFile()) {
            throw new PortageException(Fault.MISSING, name);
        }
        if (file.length() != bytes) {
            throw new PortageException(Fault.WRONG_SIZE, name, file.length(), bytes);
        }
        String found = Sha256.of(file);
        if (!found.equals(expected)) {
            throw new PortageException(
                    Fault.WRONG_SHA256, name, Sha256.shortened(found), Sha256.shortened(expected));
        }
    }

    /** Every file of the package, relative to its folder, but the manifest itself. */
    public List<String> fileNames() {
        return new ArrayList<>(files.keySet());
    }

    /** The file for the engine. */
    public File modelFile() {
        return new File(folder, modelName);
    }

    /** Its name. */
    public String modelName() {
        return modelName;
    }

    /** Its sha256, as the manifest says; {@link #problems} compares the file with it. */
    public String modelSha256() throws PortageException {
        return files.get(modelName).text("sha256");
    }

    /** The size of the model's file, as the manifest says. */
    public long modelBytes() throws PortageException {
        return files.get(modelName).bytes("bytes");
    }

    /** How photos become the model's input. */
    public Preprocess preprocess() throws PortageException {
        Preprocess preprocess = Preprocess.fromJson(text(PREPROCESS), PREPROCESS);
        if (preprocess.side() != side) {
            throw new PortageException(Fault.BAD_FIELD, PREPROCESS, "crop");
        }
        return preprocess;
    }

    private String text(String name) throws PortageException {
        return WholeFile.text(new File(folder, name));
    }

    public Labels labels() throws PortageException {
        return Labels.read(new File(folder, LABELS), classes);
    }

    /** The photos that the model is checked with. */
    public Golden golden() throws PortageException {
        return Golden.read(new File(folder, "golden"), side, classes);
    }

    public String model() {
        return model;
    }

    /** What the toolkit calls the model with these weights: "SqueezeNet1_1-flowers". */
    public String name() {
        return name;
    }

    /** The toolkit's name for what the model was made for, e.g. "lite-arm". */
    public String target() {
        return target;
    }

    /** "fp32", "fp16" or "int8". */
    public String precision() {
        return precision;
    }

    /** Where the weights are from: "official", "demo", a sha256, or "random". */
    public String weights() {
        return weights;
    }

    /** Which engine runs it: "paddle-lite" or "onnxruntime". */
    public String engine() {
        return engine;
    }

    /** The engine's version that the model was made with. */
    public String engineVersion() {
        return engineVersion;
    }

    public int classes() {
        return classes;
    }

    /** S: the input is float32 [1, 3, S, S]. */
    public int side() {
        return side;
    }

    /** Whether the model must compute what the reference does, up to rounding. */
    public boolean numericGate() {
        return numericGate;
    }

    /** The name of the photos that the golden ones are from. */
    public String photosName() {
        return photosName;
    }

    /** The sha256 of the golden crops. */
    public String photosSha256() {
        return photosSha256;
    }
}
