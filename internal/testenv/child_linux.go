package testenv

import "syscall"

// childAttributes ties a server to the test: it gets a process group of its
// own, so that Ctrl-C does not stop it under a running test, and it dies with
// the test process, even when that is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
