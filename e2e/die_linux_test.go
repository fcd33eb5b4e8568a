package e2e

import (
	"os/exec"
	"syscall"
)

// dieWithParent keeps a process from outliving a test that was killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
