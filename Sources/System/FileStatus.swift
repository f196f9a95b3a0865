import Glibc

/// What the system says about a file (stat(2)); follows links. Two equal values mean that the file has not changed.
package struct FileStatus: Equatable, Sendable {
  package let byteCount: Int
  package let isRegular: Bool
  /// Seconds since 1970.
  package let modifiedAt: Int64
  private let modifiedNanoseconds: Int
  private let inode: ino_t

  package init(path: String) throws(Errno) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { throw .last }
    byteCount = Int(status.st_size)
    isRegular = status.st_mode & S_IFMT == S_IFREG
    modifiedAt = Int64(status.st_mtim.tv_sec)
    modifiedNanoseconds = Int(status.st_mtim.tv_nsec)
    inode = status.st_ino
  }
}
