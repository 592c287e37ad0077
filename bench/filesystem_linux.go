package bench

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fileSystem names the file system of a directory. In memory, syncs cost
// nothing and a figure that includes them says nothing, so this is told.
func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "unknown"
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.F2FS_SUPER_MAGIC:
		return "f2fs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs (in memory: syncs cost nothing, choose another directory)"
	}
	return fmt.Sprintf("type %#x", st.Type)
}
