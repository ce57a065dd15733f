//go:build !linux

package main

import "syscall"

// Nothing is started here: the steps run on Linux only.
func attributes(bool) *syscall.SysProcAttr { return nil }
