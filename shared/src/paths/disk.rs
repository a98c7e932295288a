//! What is known of the file system under a path: whether it is a disk of this machine, and whether its
//! kernel hears of every change.

use std::path::Path;

/// A file system, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// The family of its type, for people.
    pub name: &'static str,
    /// It is on this machine. Sockets, locks and databases do not work on the others.
    pub is_local: bool,
    /// This kernel is told of every change. Elsewhere another machine, the host of this container, or a
    /// process below the mount changes files unheard.
    pub tells_changes: bool,
}

impl Disk {
    /// A file system of this machine that tells everything. What can't be told is taken for one: failing
    /// later has a message of its own.
    pub const LOCAL: Self = Self {
        name: "local",
        is_local: true,
        tells_changes: true,
    };

    /// The file system of the path, or of the nearest folder above it that exists.
    pub fn of(path: &Path) -> Self {
        let existing = path
            .ancestors()
            .find(|path| path.exists())
            .unwrap_or_else(|| Path::new("/"));
        rustix::fs::statfs(existing).map_or(Self::LOCAL, |found| kind(&found))
    }
}

/// Whether the path, or the nearest folder above it that exists, is on a disk of this machine. Sockets,
/// locks and databases do not work on network shares.
pub fn is_local_fs(path: &Path) -> bool {
    Disk::of(path).is_local
}

#[cfg(target_os = "linux")]
fn kind(found: &rustix::fs::StatFs) -> Disk {
    // Some numbers have their top bit set and come back negative: only the low half says anything.
    by_magic(u64::try_from(i128::from(found.f_type) & 0xffff_ffff).unwrap_or_default())
}

/// What the number of a file system's type means.
#[cfg(target_os = "linux")]
fn by_magic(magic: u64) -> Disk {
    /// Shares: number and name. Virtiofs has the number of FUSE, and drvfs of a second-generation WSL that
    /// of Plan 9.
    const SHARES: [(u64, &str); 14] = [
        (0x6969, "nfs"),
        (0x517b, "smb"),
        (0xff53_4d42, "smb"),
        (0xfe53_4d42, "smb"),
        (0x0102_1997, "9p"),
        (0x6573_5546, "fuse"),
        (0x5346_414f, "afs"),
        (0x7375_7245, "coda"),
        (0x00c3_6400, "ceph"),
        (0x0bd0_0bd0, "lustre"),
        (0x4750_4653, "gpfs"),
        (0x7461_636f, "ocfs2"),
        (0x0116_1970, "gfs2"),
        (0x786f_4256, "vboxsf"),
    ];
    /// Of this machine, but what lies below them can change past them.
    const LAYERS: [(u64, &str); 3] = [
        (0x794c_7630, "overlay"),
        (0x6175_6673, "aufs"),
        (0x5346_4846, "wslfs"),
    ];
    let named = |table: &[(u64, &'static str)]| {
        let found = table.iter().find(|(number, _)| *number == magic);
        found.map(|(_, name)| *name)
    };
    if let Some(name) = named(&SHARES) {
        return Disk {
            name,
            is_local: false,
            tells_changes: false,
        };
    }
    named(&LAYERS).map_or(Disk::LOCAL, |name| Disk {
        name,
        is_local: true,
        tells_changes: false,
    })
}

#[cfg(target_os = "macos")]
const fn kind(found: &rustix::fs::StatFs) -> Disk {
    /// `MNT_LOCAL`.
    const LOCAL: u32 = 0x1000;
    if found.f_flags & LOCAL != 0 {
        Disk::LOCAL
    } else {
        Disk {
            name: "network",
            is_local: false,
            tells_changes: false,
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
const fn kind(_found: &rustix::fs::StatFs) -> Disk {
    Disk::LOCAL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_under_a_path_that_does_not_exist_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            Disk::of(&folder.path().join("a/b/c")),
            Disk::of(folder.path())
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn shares_and_layers_are_told_from_disks() {
        let cases = [
            (0x6969, "nfs", false, false),
            (0xfe53_4d42, "smb", false, false),
            (0x0102_1997, "9p", false, false),
            (0x6573_5546, "fuse", false, false),
            (0x794c_7630, "overlay", true, false),
            (0x5346_4846, "wslfs", true, false),
            // ext4, xfs, btrfs, tmpfs, zfs.
            (0xef53, "local", true, true),
            (0x5846_5342, "local", true, true),
            (0x9123_683e, "local", true, true),
            (0x0102_1994, "local", true, true),
            (0x2fc1_2fc1, "local", true, true),
        ];
        for (magic, name, is_local, tells_changes) in cases {
            let wanted = Disk {
                name,
                is_local,
                tells_changes,
            };
            assert_eq!(by_magic(magic), wanted, "{magic:#x}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_own_file_systems_are_local() {
        assert_eq!(Disk::of(Path::new("/proc/self")), Disk::LOCAL);
    }
}
