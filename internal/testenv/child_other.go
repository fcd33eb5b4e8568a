//go:build unix && !linux

package testenv

import "syscall"

// childAttributes gives a server a process group of its own, so that Ctrl-C
// does not stop it under a running test.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
