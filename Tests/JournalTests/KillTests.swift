import Foundation
import Glibc
import System
import TestFolders
import Testing

@testable import Journal

/// A process that is killed with SIGKILL while it writes.
@Suite struct KillTests {
  private static let folderVariable = "JOURNAL_TEST_FOLDER"
  private static let clients = 4

  private static func write(_ thread: Int, _ number: Int) -> KeyedWrite {
    KeyedWrite(client: "client \(thread)", key: "\(number)", id: UInt64(number))
  }

  private static func body(_ thread: Int, _ number: Int) -> String {
    String(repeating: "\(thread) \(number) ", count: number % 500)
  }

  /// The child: claims and records on several threads, and prints what is durable.
  @Test(.enabled(if: ProcessInfo.processInfo.environment[folderVariable] != nil))
  func `the process to be killed`() throws {
    let path = try #require(ProcessInfo.processInfo.environment[Self.folderVariable])
    let first = Int(ProcessInfo.processInfo.environment["JOURNAL_TEST_FIRST"] ?? "") ?? 0
    let settings = JournalSettings(
      folder: path, ttlSeconds: 86_400, keysMax: 1 << 30, keysPerClientMax: 1 << 30, diskBytesMax: 1 << 40)
    let journal = try Journal(settings) { _ in }
    let output = OutputFile.standardError
    DispatchQueue.concurrentPerform(iterations: Self.clients) { thread in
      guard let folder = try? JournalFolder() else { return }
      let running = RunningJournal(journal, in: folder)
      // Until it is killed, or its parent is gone.
      for number in first..<first + 100_000 where getppid() != 1 {
        let write = Self.write(thread, number)
        guard running.claim(write) == .durable else { continue }
        try? output.write(Array("claimed \(thread) \(number)\n".utf8).span)
        guard running.record(.created(Self.body(thread, number)), write) == .durable else { continue }
        try? output.write(Array("stored \(thread) \(number)\n".utf8).span)
      }
    }
  }

  @Test func `a process that is killed at any time has kept what it said was durable`() throws {
    let folder = try JournalFolder()
    var (claimed, stored): (Set<[Int]>, Set<[Int]>) = ([], [])
    for round in 0..<12 {
      for line in try killedProcess(folder, first: round * 1_000, after: Double.random(in: 0...0.05)) {
        let words = line.split(separator: " ")
        guard words.count == 3, let thread = Int(words[1]), let number = Int(words[2]) else { continue }
        if words[0] == "claimed" { claimed.insert([thread, number]) }
        if words[0] == "stored" { stored.insert([thread, number]) }
      }
    }
    #expect(stored.count >= 12 && claimed.count >= stored.count, "\(claimed.count) claimed, \(stored.count) stored")
    let running = try folder.open()
    for key in claimed {
      let answer = running.claim(Self.write(key[0], key[1]))
      let response = Answer.created(Self.body(key[0], key[1]), id: UInt64(key[1]))
      let isKept = answer == response || !stored.contains(key) && answer == .unknown(UInt64(key[1]))
      #expect(isKept, "\(key): \(answer), stored: \(stored.contains(key))")
    }
  }

  /// Runs the child, kills it some seconds after a random number of lines, and returns its lines.
  private func killedProcess(_ folder: JournalFolder, first: Int, after seconds: Double) throws -> [Substring] {
    let process = Process()
    process.executableURL = URL(filePath: "/proc/\(getpid())/exe")
    process.arguments = ["--testing-library", "swift-testing", "--filter", "the process to be killed"]
    process.environment = ProcessInfo.processInfo.environment.merging([
      Self.folderVariable: folder.settings.folder, "JOURNAL_TEST_FIRST": "\(first)", "SWIFT_BACKTRACE": "enable=no",
    ]) { _, new in new }
    let pipe = Pipe()
    process.standardError = pipe
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    var data = Data()
    let count = Int.random(in: 1...60)
    while String(decoding: data, as: UTF8.self).split(separator: "\n").count(where: { $0.hasPrefix("stored") }) < count
    {
      let part = pipe.fileHandleForReading.availableData
      guard !part.isEmpty else { break }
      data += part
    }
    Thread.sleep(forTimeInterval: seconds)
    kill(process.processIdentifier, SIGKILL)
    data += try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self).split(separator: "\n")
  }
}
