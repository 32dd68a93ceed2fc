//go:build linux

// Command guest is the only process of the machine that .ci/avx512 boots. It
// runs the commands in the file /commands, writes their results to the console,
// and turns the machine off. Each line of the file is a folder followed by the
// command to run in it.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("guest: failed:", err)
	} else {
		fmt.Println("guest: passed")
	}
	time.Sleep(100 * time.Millisecond) // wait until the console has written the output
	fmt.Println("guest:", syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF))
}

func run() error {
	for dir, kind := range map[string]string{"/dev": "devtmpfs", "/proc": "proc", "/tmp": "tmpfs"} {
		if err := errors.Join(os.MkdirAll(dir, 0o777), syscall.Mount(kind, dir, kind, 0, "")); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	commands, err := os.ReadFile("/commands")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(commands)) {
		fmt.Print("guest: ", line)
		fields := strings.Fields(line)
		c := exec.Command(fields[1], fields[2:]...)
		c.Dir, c.Stdout, c.Stderr = "/"+fields[0], os.Stdout, os.Stderr
		err = errors.Join(err, c.Run())
	}
	return err
}
