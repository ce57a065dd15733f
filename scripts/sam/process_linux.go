package main

import "syscall"

// attributes of a process that ends with this one, in a process group of its
// own if it is to be ended as a whole.
func attributes(group bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: group, Pdeathsig: syscall.SIGTERM}
}
