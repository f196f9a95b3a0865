import CLinux
import Glibc

/// Watches folders for changes: files and links created, written, replaced, renamed or deleted (inotify(7)).
///
/// A link's target is not watched: add its folder as well.
package struct FolderWatch: ~Copyable {
  private let descriptor: FileDescriptor

  package init(_ folders: [String]) throws(Errno) {
    let number = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
    guard number >= 0 else { throw Errno.last }
    descriptor = FileDescriptor(owning: number)
    add(folders)
  }

  /// Watches more folders; skips those that cannot be watched.
  package func add(_ folders: [String]) {
    let changes =
      IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF
      | IN_MOVE_SELF
    for folder in folders { unsafe _ = inotify_add_watch(descriptor.number, folder, UInt32(changes)) }
  }

  var number: Int32 { descriptor.number }

  /// Discards all events so far.
  func drain() {
    var bytes = InlineArray<4_096, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    while unsafe span.withUnsafeMutableBytes({ unsafe read(descriptor.number, $0.baseAddress, $0.count) }) > 0 {}
  }
}
