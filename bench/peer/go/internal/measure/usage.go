package measure

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// watchCPU counts processor time of this process and of its children from now on. What it returns
// divides both by a number of calls; where there is no /proc, it has nothing to say.
func watchCPU() func(calls int) map[string]float64 {
	hostBefore, pluginBefore := cpuNs(os.Getpid()), cpuOfChildren()
	return func(calls int) map[string]float64 {
		metrics := map[string]float64{}
		if host := cpuNs(os.Getpid()); host > 0 {
			metrics["host_cpu_ns"] = (host - hostBefore) / float64(calls)
		}
		if plugin := cpuOfChildren(); plugin > 0 {
			metrics["plugin_cpu_ns"] = (plugin - pluginBefore) / float64(calls)
		}
		return metrics
	}
}

// cpuNs is the processor time that all threads of a process have had.
func cpuNs(pid int) (sum float64) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, path := range threads {
		text, _ := os.ReadFile(path)
		first, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseFloat(first, 64)
		sum += ns
	}
	return sum
}

func cpuOfChildren() (sum float64) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	for _, path := range lists {
		text, _ := os.ReadFile(path)
		for _, child := range strings.Fields(string(text)) {
			pid, _ := strconv.Atoi(child)
			sum += cpuNs(pid)
		}
	}
	return sum
}
