package report

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// children lists the processes that this one started, zombies among them.
func children() []int {
	var pids []int
	parent := strconv.Itoa(os.Getpid())
	if runtime.GOOS != "linux" {
		out, _ := exec.Command("pgrep", "-P", parent).Output()
		for _, line := range strings.Fields(string(out)) {
			if pid, err := strconv.Atoi(line); err == nil {
				pids = append(pids, pid)
			}
		}
		return pids
	}
	// Not /proc/self/task/*/children, which not every kernel is built with.
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // gone since
		}
		// "pid (name) state ppid …", and the name may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 1 && fields[1] == parent {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func kill(pid int) { syscall.Kill(pid, syscall.SIGKILL) }

// Exit waits for a plugin that was told to die, which the original never does,
// and answers its exit code, or -1 and the signal that ended it.
func Exit(pid int) (code int, signal string, err error) {
	var status syscall.WaitStatus
	_, err = syscall.Wait4(pid, &status, 0, nil)
	if err == nil && status.Signaled() {
		signal = status.Signal().String()
	}
	return status.ExitStatus(), signal, err
}
