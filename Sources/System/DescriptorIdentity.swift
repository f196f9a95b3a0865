import Glibc

/// Distinguishes an open descriptor from a later one with the same number.
package struct DescriptorIdentity: Equatable, Sendable {
  private let device: dev_t
  private let inode: ino_t

  /// - Returns: nil if no descriptor with this number is open.
  package init?(of descriptor: Int32) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    device = status.st_dev
    inode = status.st_ino
  }
}
