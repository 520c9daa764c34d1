"""The steps of `make apk`: what is read, compiled, packed and signed, without an Android SDK."""
