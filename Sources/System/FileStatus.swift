import Glibc

/// What the system says about a file (stat(2)); follows links. Two equal values mean that the file has not changed.
package struct FileStatus: Equatable, Sendable {
  package let byteCount: Int
  package let isRegular: Bool
  /// Seconds since 1970.
  package let modifiedAt: Int64
  /// The user's number.
  package let owner: UInt32
  /// The permission bits.
  package let mode: Int
  private let modifiedNanoseconds: Int
  private let inode: ino_t

  package init(path: String) throws(Errno) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { throw .last }
    byteCount = Int(status.st_size)
    isRegular = status.st_mode & S_IFMT == S_IFREG
    modifiedAt = Int64(status.st_mtim.tv_sec)
    owner = status.st_uid
    mode = Int(status.st_mode & 0o777)
    modifiedNanoseconds = Int(status.st_mtim.tv_nsec)
    inode = status.st_ino
  }
}

/// What is at a path.
package enum FileKind: Sendable {
  case regular, folder, link, other

  /// - Parameter followsLinks: whether a link is followed (stat(2)), or reported as one (lstat(2)).
  package init(path: String, followsLinks: Bool) throws(Errno) {
    var status = stat()
    guard unsafe (followsLinks ? stat(path, &status) : lstat(path, &status)) == 0 else { throw .last }
    switch status.st_mode & S_IFMT {
    case S_IFREG: self = .regular
    case S_IFDIR: self = .folder
    case S_IFLNK: self = .link
    default: self = .other
    }
  }
}
