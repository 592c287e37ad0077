package device

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync: the length of the file has not changed.
func syncData(file *os.File) error {
	for {
		if err := unix.Fdatasync(int(file.Fd())); err != unix.EINTR {
			return err
		}
	}
}
