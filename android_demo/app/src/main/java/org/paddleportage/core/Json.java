package org.paddleportage.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * JSON text (RFC 8259) to values and back: maps in their order, lists, String, Long or Double,
 * Boolean, null.
 *
 * <p>Our own, because Android's {@code org.json} is not on the JVM that the tests run on, takes
 * what is not JSON, and writes infinite numbers; and a library would be the app's largest part.
 */
public final class Json {
    private static final int DEEPEST = 64;

    private final String text;
    private final String name;
    private int at;

    private Json(String text, String name) {
        this.text = text;
        this.name = name;
    }

    /**
     * The value of a JSON text.
     *
     * @param name what the error message calls it
     */
    public static Object parse(String text, String name) throws PortageException {
        Json json = new Json(text, name);
        Object value = json.value(0);
        json.skipSpace();
        if (json.at < text.length()) {
            throw json.wrong();
        }
        return value;
    }

    /** Indented JSON text of maps, lists, strings, finite numbers, booleans and null. */
    public static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, "\n", out);
        return out.append('\n').toString();
    }

    // ---- reading ----

    private Object value(int depth) throws PortageException {
        skipSpace();
        char next = peek();
        if (depth > DEEPEST) {
            throw wrong();
        }
        switch (next) {
            case '{':
                return object(depth);
            case '[':
                return list(depth);
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object(int depth) throws PortageException {
        Map<String, Object> members = new LinkedHashMap<>();
        at++;
        skipSpace();
        if (peek() == '}') {
            at++;
            return members;
        }
        while (true) {
            skipSpace();
            int start = at;
            String key = string();
            if (members.containsKey(key)) {
                at = start;
                throw wrong();
            }
            skipSpace();
            expect(':');
            members.put(key, value(depth + 1));
            skipSpace();
            if (peek() != ',') {
                expect('}');
                return members;
            }
            at++;
        }
    }

    private List<Object> list(int depth) throws PortageException {
        List<Object> items = new ArrayList<>();
        at++;
        skipSpace();
        if (peek() == ']') {
            at++;
            return items;
        }
        while (true) {
            items.add(value(depth + 1));
            skipSpace();
            if (peek() != ',') {
                expect(']');
                return items;
            }
            at++;
        }
    }

    private String string() throws PortageException {
        expect('"');
        StringBuilder out = new StringBuilder();
        while (true) {
            char next = peek();
            if (next < ' ') {
                throw wrong();
            }
            at++;
            if (next == '"') {
                return out.toString();
            }
            out.append(next == '\\' ? escaped() : next);
        }
    }

    private char escaped() throws PortageException {
        char kind = peek();
        int known = "\"\\/bfnrt".indexOf(kind);
        if (known >= 0) {
            at++;
            return "\"\\/\b\f\n\r\t".charAt(known);
        }
        if (kind != 'u') {
            throw wrong();
        }
        at++;
        int code = 0;
        for (int i = 0; i < 4; i++) {
            int digit = Character.digit(peek(), 16);
            if (digit < 0 || peek() > 'f') { // no digits of other scripts
                throw wrong();
            }
            code = 16 * code + digit;
            at++;
        }
        return (char) code;
    }

    private Object word(String word, Object value) throws PortageException {
        if (!text.startsWith(word, at)) {
            throw wrong();
        }
        at += word.length();
        return value;
    }

    private Object number() throws PortageException {
        int start = at;
        if (peek() == '-') {
            at++;
        }
        if (peek() == '0') {
            at++;
        } else {
            digits();
        }
        int whole = at;
        if (at < text.length() && text.charAt(at) == '.') {
            at++;
            digits();
        }
        if (at < text.length() && (text.charAt(at) | 0x20) == 'e') {
            at++;
            if (peek() == '+' || peek() == '-') {
                at++;
            }
            digits();
        }
        String digits = text.substring(start, at);
        try {
            return at == whole ? (Object) Long.valueOf(digits) : (Object) finite(digits, start);
        } catch (NumberFormatException tooBig) {
            return finite(digits, start);
        }
    }

    private Double finite(String digits, int start) throws PortageException {
        double number = Double.parseDouble(digits);
        if (Double.isInfinite(number)) {
            at = start;
            throw wrong();
        }
        return number;
    }

    private void digits() throws PortageException {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        if (at == start) {
            throw wrong();
        }
    }

    private void skipSpace() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private void expect(char wanted) throws PortageException {
        if (peek() != wanted) {
            throw wrong();
        }
        at++;
    }

    private char peek() throws PortageException {
        if (at >= text.length()) {
            throw wrong();
        }
        return text.charAt(at);
    }

    private PortageException wrong() {
        return new PortageException(Fault.NOT_JSON, name, at + 1);
    }

    // ---- writing ----

    private static void write(Object value, String newLine, StringBuilder out) {
        String inner = newLine + "  ";
        String separator = "";
        if (value instanceof Map) {
            out.append('{');
            for (Map.Entry<?, ?> member : ((Map<?, ?>) value).entrySet()) {
                out.append(separator).append(inner);
                writeString((String) member.getKey(), out);
                write(member.getValue(), inner, out.append(": "));
                separator = ",";
            }
            out.append(separator.isEmpty() ? "}" : newLine + "}");
        } else if (value instanceof List) {
            out.append('[');
            for (Object item : (List<?>) value) {
                write(item, inner, out.append(separator).append(inner));
                separator = ",";
            }
            out.append(separator.isEmpty() ? "]" : newLine + "]");
        } else if (value instanceof String) {
            writeString((String) value, out);
        } else if (value instanceof Double && (((Double) value).isNaN() || ((Double) value).isInfinite())) {
            throw new IllegalArgumentException(value + " has no form in JSON");
        } else if (value == null || value instanceof Boolean || value instanceof Double
                || value instanceof Integer || value instanceof Long) {
            out.append(value);
        } else {
            throw new IllegalArgumentException(value.getClass() + " has no form in JSON");
        }
    }

    private static void writeString(String text, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char next = text.charAt(i);
            if (next == '"' || next == '\\') {
                out.append('\\').append(next);
            } else if (next < ' ' || Character.isSurrogate(next)) {
                out.append(String.format(Locale.ROOT, "\\u%04x", (int) next));
            } else {
                out.append(next);
            }
        }
        out.append('"');
    }
}
