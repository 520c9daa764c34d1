package org.paddleportage.core;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A JSON object whose members are asked for by name and kind; what is wrong is a sentence. */
final class Fields {
    private final Map<?, ?> members;
    private final String name;

    private Fields(Map<?, ?> members, String name) {
        this.members = members;
        this.name = name;
    }

    static Fields parse(String text, String name) throws PortageException {
        Object value = Json.parse(text, name);
        if (!(value instanceof Map)) {
            throw new PortageException(Fault.BAD_FIELD, name, "{…}");
        }
        return new Fields((Map<?, ?>) value, name);
    }

    PortageException wrong(String key) {
        return new PortageException(Fault.BAD_FIELD, name, key);
    }

    String text(String key) throws PortageException {
        return get(key, String.class);
    }

    /** A text that can only be this one. */
    void require(String key, String wanted) throws PortageException {
        if (!text(key).equals(wanted)) {
            throw wrong(key);
        }
    }

    /** The bytes of a text in base64. */
    byte[] base64(String key) throws PortageException {
        byte[] bytes = Base64.decode(text(key));
        if (bytes == null) {
            throw wrong(key);
        }
        return bytes;
    }

    /** A whole number from 0 to the largest int. */
    int count(String key) throws PortageException {
        return (int) bytes(key, Integer.MAX_VALUE);
    }

    /** A file's size. */
    long bytes(String key) throws PortageException {
        return bytes(key, Long.MAX_VALUE);
    }

    private long bytes(String key, long most) throws PortageException {
        long number = get(key, Long.class);
        if (number < 0 || number > most) {
            throw wrong(key);
        }
        return number;
    }

    Map<?, ?> object(String key) throws PortageException {
        return get(key, Map.class);
    }

    /** The object under a key, whose own members are to be asked for. */
    Fields fields(String key) throws PortageException {
        return new Fields(object(key), name + ": " + key);
    }

    /** A list of objects. */
    List<Fields> list(String key) throws PortageException {
        List<Fields> found = new ArrayList<>();
        for (Object item : get(key, List.class)) {
            if (!(item instanceof Map)) {
                throw wrong(key);
            }
            found.add(new Fields((Map<?, ?>) item, name + ": " + key));
        }
        return found;
    }

    /** The one object of a list that has no other. */
    Fields onlyFields(String key) throws PortageException {
        List<Fields> found = list(key);
        if (found.size() != 1) {
            throw wrong(key);
        }
        return found.get(0);
    }

    /** Whether it has these members and no others, all the way down. */
    boolean equalsJson(Object value) {
        return members.equals(value);
    }

    float[] floats(String key, int length) throws PortageException {
        List<?> items = list(key, length);
        float[] numbers = new float[length];
        for (int i = 0; i < length; i++) {
            if (!(items.get(i) instanceof Number)) {
                throw wrong(key);
            }
            numbers[i] = (float) ((Number) items.get(i)).doubleValue();
        }
        return numbers;
    }

    /** Whole numbers from 0 to below {@code end}. */
    int[] indices(String key, int length, long end) throws PortageException {
        List<?> items = list(key, length);
        int[] numbers = new int[length];
        for (int i = 0; i < length; i++) {
            Object item = items.get(i);
            if (!(item instanceof Long) || (Long) item < 0 || (Long) item >= end) {
                throw wrong(key);
            }
            numbers[i] = (int) (long) (Long) item;
        }
        return numbers;
    }

    private List<?> list(String key, int length) throws PortageException {
        List<?> items = get(key, List.class);
        if (items.size() != length) {
            throw wrong(key);
        }
        return items;
    }

    private <T> T get(String key, Class<T> kind) throws PortageException {
        Object value = members.get(key);
        if (!kind.isInstance(value)) {
            throw wrong(key);
        }
        return kind.cast(value);
    }
}
