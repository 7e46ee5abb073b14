package sender

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder says which process listens on the port of an address, as far as the system tells;
// it is empty where that is not known.
func holder(addr string) string {
	_, number, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return ""
	}
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listening(table, port, sockets)
	}
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil || len(sockets) == 0 {
		return ""
	}
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && sockets[to] {
			process := filepath.Dir(filepath.Dir(file))
			name, _ := os.ReadFile(filepath.Join(process, "comm")) // it may have ended since
			return fmt.Sprintf(" (process %s, %.40q, listens there)", filepath.Base(process), strings.TrimSpace(string(name)))
		}
	}
	return ""
}

// listening adds the sockets of a table of the system that listen on a port.
func listening(table string, port uint64, sockets map[string]bool) {
	const local, state, inode, listens = 1, 3, 9, "0A"
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[state] != listens {
			continue
		}
		_, number, _ := strings.Cut(fields[local], ":")
		if n, err := strconv.ParseUint(number, 16, 16); err == nil && n == port {
			sockets["socket:["+fields[inode]+"]"] = true
		}
	}
}
