#!/usr/bin/env bash
# Checks what is about to be committed; skip once with git commit --no-verify.
exec make -s check
