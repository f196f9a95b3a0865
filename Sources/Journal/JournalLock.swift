import Synchronization
import System

/// The folder of a journal, locked.
final class JournalLock: Sendable {
  let folder: SharedFolder
  private let lock: Mutex<FolderLock?>

  /// A process that the last holder has just started has its descriptors until it executes its program.
  private static let waitMilliseconds = 500

  init(_ path: String) throws(JournalFault) {
    do throws(Errno) {
      folder = try SharedFolder(path)
      // It may be new.
      try folder.synchronizeParent()
      lock = Mutex(try FolderLock(path, waitingMilliseconds: Self.waitMilliseconds))
    } catch {
      throw error == .wouldBlock ? .inUse(path) : .folder(path, error)
    }
  }

  /// Takes over the lock of the process that hands over to this one.
  init(_ path: String, inherited descriptor: consuming FileDescriptor) throws(JournalFault) {
    do throws(Errno) {
      folder = try SharedFolder(path)
      lock = Mutex(try FolderLock(path, inherited: descriptor))
    } catch {
      if error == .otherFolder {
        throw .restartNeeded("the running gateway has its keys in another folder than \(path)")
      }
      throw error == .wouldBlock ? .inUse(path) : .folder(path, error)
    }
  }

  /// Nil if it is released.
  var number: Int32? { lock.withLock { $0?.number } }

  func release() { lock.withLock { $0 = nil } }
}
