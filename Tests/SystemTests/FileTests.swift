import Foundation
import Glibc
import Synchronization
import System
import TestFolders
import Testing

struct FileTests {
  @Test func `reads from the current offset, and returns less only at the end`() throws {
    try withTemporaryFolder { folder in
      try folder.write("0123456789", to: "file")
      let file = try InputFile(path: folder.path("file"))
      #expect(file.byteCount == 10)
      #expect(try file.read(4) == Array("0123".utf8))
      #expect(try file.read(20) == Array("456789".utf8))
      #expect(try file.read(1) == [])
      try file.seek(to: 8)
      #expect(try file.read(1) == Array("8".utf8))
    }
  }

  @Test func `reads from any offset, and lists the names of a folder`() throws {
    try withTemporaryFolder { folder in
      try folder.write("0123456789", to: "file")
      try folder.write("", to: ".other")
      let file = try InputFile(path: folder.path("file"))
      #expect(try file.read(4, at: 3) == Array("3456".utf8))
      #expect(try file.read(20, at: 8) == Array("89".utf8))
      #expect(try file.read(1, at: 10) == [])
      // The offset of other reads does not move.
      #expect(try file.read(2) == Array("01".utf8))
      #expect(try SharedFolder(folder.path).entries().sorted() == [".other", "file"])
    }
  }

  @Test func `passes the lock of a folder on with a duplicate of its descriptor`() throws {
    try withTemporaryFolder { folder in
      let number: Int32
      do {
        let lock = try FolderLock(folder.path, waitingMilliseconds: 0)
        number = dup(lock.number)
      }
      #expect(throws: Errno.wouldBlock) { _ = try FolderLock(folder.path, waitingMilliseconds: 0) }
      do {
        let lock = try FolderLock(folder.path, inherited: FileDescriptor(owning: number))
        #expect(throws: Errno.wouldBlock) { _ = try FolderLock(folder.path, waitingMilliseconds: 0) }
        _ = lock
      }
      // A process that another test starts has its descriptors for a moment.
      _ = try FolderLock(folder.path, waitingMilliseconds: 2_000)
    }
  }

  @Test func `reads a pipe, which has no size, until the requested count is complete`() throws {
    try withTemporaryFolder { folder in
      let path = folder.path("pipe")
      #expect(unsafe mkfifo(path, 0o600) == 0)
      startThread(named: "writer") {
        guard let output = try? OutputFile(appendingTo: path, mode: 0o600) else { return }
        for _ in 0..<3 {
          try? output.write([1, 2].span)
          // Most reads return less than they ask for.
          sleep(milliseconds: 1)
        }
      }
      let file = try InputFile(path: path)
      #expect(file.byteCount == nil)
      #expect(try file.read(5) == [1, 2, 1, 2, 1])
      #expect(try file.read(5) == [2])
    }
  }

  @Test func `appends after bytes that others have written`() throws {
    try withTemporaryFolder { folder in
      let path = folder.path("log")
      let outputs = try (0..<2).map { _ in try OutputFile(appendingTo: path, mode: 0o640) }
      for output in outputs + outputs { try output.write(Array("line\n".utf8).span) }
      #expect(try InputFile(path: path).read(100) == Array("line\nline\nline\nline\n".utf8))
    }
  }

  @Test func `names the thread it starts, and frees its closure at the end`() {
    final class Work: Sendable {
      let freed: DispatchSemaphore
      let name = Mutex("")
      init(_ freed: DispatchSemaphore) { self.freed = freed }
      deinit { freed.signal() }
    }
    let (done, freed) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    var name = ""
    do {
      let work = Work(freed)
      startThread(named: "worker-7") {
        let text = (try? InputFile(path: "/proc/thread-self/comm").read(100)) ?? []
        work.name.withLock { $0 = String(decoding: text, as: UTF8.self) }
        done.signal()
      }
      #expect(done.wait(timeout: .now() + 20) == .success)
      name = work.name.withLock { $0 }
    }
    #expect(freed.wait(timeout: .now() + 20) == .success)
    #expect(name == "worker-7\n")
  }

  @Test func `counts the processors as nproc(1) does`() throws {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/nproc")
    // nproc honours OMP_NUM_THREADS and the like.
    process.environment = [:]
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect("\(processorCount)\n" == text)
  }
}
