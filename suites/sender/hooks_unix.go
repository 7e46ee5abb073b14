//go:build unix

package sender

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup has the command run in a process group of its own, which is ended as a
// whole: a script's children must not outlive it where it was ended by us.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
