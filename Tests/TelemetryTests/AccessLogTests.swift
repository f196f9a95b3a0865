import Foundation
import Glibc
import Synchronization
import Telemetry
import TestFolders
import TestSupport
import Testing

struct AccessLogTests {
  /// A folder for one test, and the reports of the log under test.
  private final class Stage: Sendable {
    private let files: TemporaryFolder
    var folder: URL { files.url }
    let reports = Mutex<[String]>([])

    init() throws { files = try TemporaryFolder() }

    func path(_ name: String = "access.log") -> String { files.path(name) }

    func open(_ path: String) throws -> AccessLog {
      try AccessLog(path: path) { [self] report in reports.withLock { $0.append(report) } }
    }

    func lines(_ name: String = "access.log") throws -> [Substring] {
      try String(contentsOf: folder.appending(path: name), encoding: .utf8).split(separator: "\n")
    }
  }

  private func append(_ buffer: AccessLogBuffer, _ status: Int, now: Int64 = 0, path: String = "/") {
    let record = ExchangeRecord(RequestID(high: 1, low: 2), startedAt: 3, status: status)
    let head = Array("GET \(path)".utf8)
    var texts = RequestTexts()
    texts.method = 0..<3
    texts.path = 4..<head.count
    buffer.append(
      record, client: Span(), token: Span(), instance: Span(), route: Span(), operation: Span(), peer: Span(),
      via: Span(), texts,
      in: head.span, now: now)
  }

  @Test
  func `writes the lines of all loops and keeps the order of each`() throws {
    let stage = try Stage()
    let log = try stage.open(stage.path())
    DispatchQueue.concurrentPerform(iterations: 4) { loop in
      let buffer = log.makeBuffer()
      for index in 0..<5000 { append(buffer, loop * 10_000 + index) }
      buffer.close()
    }
    #expect(log.close())
    let statuses = try stage.lines().map { line in
      let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return try #require(fields?["status"] as? Int)
    }
    for loop in 0..<4 {
      let own = statuses.filter { $0 / 10_000 == loop }
      #expect(own == own.sorted())
    }
    #expect(statuses.count + log.droppedLines == 20_000)
    #expect(Set(statuses).count == statuses.count)
  }

  @Test
  func `creates the file readable for its group and appends to an existing one`() throws {
    let stage = try Stage()
    for status in 1...2 {
      let log = try stage.open(stage.path())
      let buffer = log.makeBuffer()
      append(buffer, status)
      buffer.close()
      log.close()
    }
    #expect(try stage.lines().count == 2)
    let mode = try FileManager.default.attributesOfItem(atPath: stage.path())[.posixPermissions] as? Int
    #expect(mode == 0o640)
  }

  @Test
  func `appends after bytes that another process has written`() throws {
    let stage = try Stage()
    let log = try stage.open(stage.path())
    try Data("another\n".utf8).write(to: stage.folder.appending(path: "access.log"))
    let buffer = log.makeBuffer()
    append(buffer, 1)
    buffer.close()
    log.close()
    #expect(try stage.lines().count == 2)
  }

  @Test
  func `hands over after half a second and not before`() throws {
    let stage = try Stage()
    let log = try stage.open(stage.path())
    defer { log.close() }
    let buffer = log.makeBuffer()
    append(buffer, 1, now: 5_000_000)
    append(buffer, 2, now: 5_400_000)
    buffer.flushIfDue(now: 5_499_999)
    // Gives a line that is written too early time to appear; so below.
    Thread.sleep(forTimeInterval: 0.05)
    #expect(try stage.lines().isEmpty)
    buffer.flushIfDue(now: 5_500_000)
    #expect(try eventually { try stage.lines().count == 2 })
    append(buffer, 3, now: 6_500_000)
    buffer.flushIfDue(now: 6_900_000)
    Thread.sleep(forTimeInterval: 0.05)
    #expect(try stage.lines().count == 2)
  }

  @Test
  func `hands over at 64 KiB`() throws {
    let stage = try Stage()
    let log = try stage.open(stage.path())
    defer { log.close() }
    let buffer = log.makeBuffer()
    let path = String(repeating: "a", count: 7900)
    for status in 1...8 { append(buffer, status, path: path) }
    // Gives a line that is written too early time to appear.
    Thread.sleep(forTimeInterval: 0.05)
    #expect(try stage.lines().isEmpty)
    append(buffer, 9, path: path)
    #expect(try eventually { try stage.lines().count == 9 })
  }

  @Test
  func `drops and counts lines while the log is not read, and never blocks`() throws {
    let stage = try Stage()
    let pipe = Pipe()
    let log = try stage.open("/proc/self/fd/\(pipe.fileHandleForWriting.fileDescriptor)")
    let buffer = log.makeBuffer()
    let path = String(repeating: "a", count: 8000)
    let start = ContinuousClock.now
    for status in 0..<200 {
      append(buffer, status, path: path)
      // The writer takes buffers meanwhile, until the pipe is full.
      Thread.sleep(forTimeInterval: 0.0005)
    }
    #expect(ContinuousClock.now - start < .seconds(5))
    let dropped = log.droppedLines
    #expect((100..<190).contains(dropped))
    buffer.close()
    #expect(log.close(within: 0.05) == false)
    try pipe.fileHandleForWriting.close()
    let lines = try pipe.fileHandleForReading.readToEnd()?.split(separator: UInt8(ascii: "\n")) ?? []
    #expect(lines.count == 200 - dropped)
  }

  @Test
  func `keeps lines whole on a pipe that does not block`() throws {
    let stage = try Stage()
    let pipe = Pipe()
    let descriptor = pipe.fileHandleForWriting.fileDescriptor
    let log = try stage.open("/proc/self/fd/\(descriptor)")
    let own = try #require(try ownDescriptor(of: descriptor))
    #expect(fcntl(own, F_SETFL, O_NONBLOCK | O_APPEND) == 0)
    let buffer = log.makeBuffer()
    for status in 0..<2000 { append(buffer, status) }
    buffer.close()
    let reader = Thread {
      // The pipe fills up before it is read.
      Thread.sleep(forTimeInterval: 0.1)
      log.close()
      try? pipe.fileHandleForWriting.close()
      _ = close(own)
    }
    reader.start()
    let lines = try pipe.fileHandleForReading.readToEnd()?.split(separator: UInt8(ascii: "\n")) ?? []
    #expect(lines.count + log.droppedLines == 2000)
    for line in lines { #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(line)) } }
  }

  /// The log's descriptor of a pipe reopened through /proc.
  private func ownDescriptor(of pipe: Int32) throws -> Int32? {
    let folder = "/proc/self/fd"
    let target = try FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(pipe)")
    let all = try FileManager.default.contentsOfDirectory(atPath: folder).compactMap(Int32.init)
    return all.filter {
      $0 > pipe && (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) == target
    }
    .max()
  }

  @Test
  func `counts the lines lost to a full disk and reports it once`() throws {
    let stage = try Stage()
    let log = try stage.open("/dev/full")
    let buffer = log.makeBuffer()
    for round in 1...3 {
      append(buffer, 1, now: 0)
      append(buffer, 2, now: 0)
      buffer.flushIfDue(now: 1_000_000)
      #expect(eventually { log.droppedLines == round * 2 })
    }
    log.close()
    #expect(
      stage.reports.withLock(\.self) == [
        "access log: cannot write /dev/full: no space left on device; lines are dropped"
      ])
  }

  @Test
  func `continues in a new file after a rotation`() throws {
    let stage = try Stage()
    let log = try stage.open(stage.path())
    let buffer = log.makeBuffer()
    append(buffer, 1)
    buffer.flushIfDue(now: 1_000_000)
    #expect(try eventually { try stage.lines().count == 1 })
    try FileManager.default.moveItem(atPath: stage.path(), toPath: stage.path("old.log"))
    log.reopen()
    #expect(eventually { FileManager.default.fileExists(atPath: stage.path()) })
    append(buffer, 2)
    buffer.close()
    log.close()
    #expect(try stage.lines("old.log").count == 1)
    #expect(try stage.lines().count == 1)
  }

  @Test
  func `loses no line to rotations under load`() throws {
    let stage = try Stage()
    let log = try stage.open(stage.path())
    let buffer = log.makeBuffer()
    for round in 0..<20 {
      for index in 0..<50 {
        append(buffer, round * 50 + index, now: 0)
        buffer.flushIfDue(now: 1_000_000)
      }
      try FileManager.default.moveItem(atPath: stage.path(), toPath: stage.path("old-\(round).log"))
      log.reopen()
      #expect(eventually { FileManager.default.fileExists(atPath: stage.path()) })
    }
    buffer.close()
    #expect(log.close())
    let files = try FileManager.default.contentsOfDirectory(atPath: stage.folder.path)
    let lines = try files.flatMap { try stage.lines($0) }
    #expect(files.count == 21)
    #expect(lines.count == 1_000 && log.droppedLines == 0)
    for line in lines { #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(line.utf8)) } }
  }

  @Test
  func `keeps using the old file if the new one cannot be opened`() throws {
    let stage = try Stage()
    let folder = stage.folder.appending(path: "logs")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let log = try stage.open(stage.path("logs/access.log"))
    try FileManager.default.moveItem(at: folder, to: stage.folder.appending(path: "moved"))
    log.reopen()
    #expect(eventually { !stage.reports.withLock(\.isEmpty) })
    let buffer = log.makeBuffer()
    append(buffer, 1)
    buffer.close()
    log.close()
    #expect(try stage.lines("moved/access.log").count == 1)
  }

  @Test(arguments: [
    ("none/access.log", "no such folder"),
    ("", "it is a folder"),
    ("file/access.log", "no such folder"),
  ])
  func `reports why a file cannot be opened`(name: String, reason: String) throws {
    let stage = try Stage()
    try Data().write(to: stage.folder.appending(path: "file"))
    let path = name.isEmpty ? stage.folder.path : stage.path(name)
    let fault = try #require(throws: LogFileFault.self) { try stage.open(path) }
    #expect(fault.description == "cannot open \(path): \(reason)")
  }
}
