import Foundation
import TestFolders
import TestSupport
import Testing

/// Writes with idempotency keys when the disk of the journal fails. Without an audit log, the journal is the only one that
/// waits for the disk.
@Suite(.scopedFixtures, .serialized) struct KeyedDiskTests {
  /// A gateway with a fault at the `number`th fdatasync of its journal.
  private func stage(_ fault: String, at number: Int) throws -> KeyedStage {
    let stage = try KeyedStage(isAudited: false)
    _ = try Strace.inject(fault, into: "fdatasync", at: number, of: stage.gateway.identifier)
    return stage
  }

  /// Repeats a write until its answer is not 503.
  private func answer(_ stage: KeyedStage, _ key: String) throws -> String? {
    var verdict: String?
    _ = try eventually(every: 0.05) {
      verdict = try stage.write(key).verdict
      return verdict?.hasPrefix("503") != true
    }
    return verdict
  }

  @Test func `a claim that may not be durable is not sent, and its key is free once a new segment is in use`() throws {
    let stage = try stage("error=EIO", at: 1)
    let refused = try stage.write("a")
    #expect(refused.verdict == "503 GATEWAY_JOURNAL_UNAVAILABLE" && refused.member("outcome") == "not_sent")
    #expect(refused["Retry-After"] != nil && stage.executions == 0)
    #expect(try answer(stage, "a") == "201")
    #expect(stage.executions == 1)
    #expect(stage.gateway.waitUntilSaid("keys can be written again"))
    try stage.restart(killing: true)
    #expect(try stage.write("a").verdict == "201 replayed")
    #expect(stage.executions == 1)
  }

  @Test func `a response whose record may not be durable is relayed, and its outcome unknown from then on`() throws {
    let stage = try stage("error=EIO", at: 2)
    #expect(try stage.write("a").verdict == "201")
    #expect(try stage.write("a").verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
    #expect(try answer(stage, "b") == "201")
    for killing in [true, false] {
      try stage.restart(killing: killing)
      #expect(try stage.write("a").verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
      #expect(try stage.write("b").verdict == "201 replayed")
    }
    #expect(stage.executions == 2)
  }

  @Test func `a disk that hangs delays no write without a key, and none with one beyond its deadline`() throws {
    let stage = try stage("delay_enter=9000000", at: 1)
    let held = try TestSocket(port: stage.gateway.port)
    try held.send(KeyedStage.request("a"))
    for _ in 0..<20 {
      #expect(try stage.write(nil).verdict == "201")
      #expect(try stage.write("a").verdict == "409 GATEWAY_IDEMPOTENCY_IN_PROGRESS")
    }
    var reader = TestMessageReader(held)
    let answer = try reader.next()
    #expect(answer?.verdict == "503 GATEWAY_JOURNAL_UNAVAILABLE" && answer?.member("outcome") == "not_sent")
    #expect(stage.executions == 20)
    // The key is free once the disk has answered: the write was not sent.
    var verdict: String?
    _ = try eventually(every: 0.05) {
      verdict = try stage.write("a").verdict
      return verdict == "201"
    }
    #expect(verdict == "201" && stage.executions == 21)
  }

  @Test(.enabled(if: MountedDisk.isPossible, "needs unshare -rm and a tmpfs"))
  func `on a full disk new keys are rejected and known ones replayed, until there is space again`() throws {
    let stage = try KeyedStage(isAudited: false) { folder in MountedDisk.command(at: folder.statePath, kibibytes: 128) }
    #expect(try stage.write("known").verdict == "201")
    let state = "/proc/\(stage.gateway.identifier)/root\(stage.folder.statePath)"
    #expect(FileManager.default.createFile(atPath: "\(state)/filler", contents: nil))
    let filler = try #require(FileHandle(forWritingAtPath: "\(state)/filler"))
    for _ in 0..<64 { try? filler.write(contentsOf: Data(count: 4_096)) }
    try filler.close()
    var number = 0
    let isFull = try eventually(every: 0.01) {
      number += 1
      return try stage.write("new-\(number)").verdict == "503 GATEWAY_JOURNAL_UNAVAILABLE"
    }
    #expect(isFull)
    let executions = stage.executions
    #expect(try stage.write("new-\(number)").verdict == "503 GATEWAY_JOURNAL_UNAVAILABLE")
    #expect(try stage.write("known").verdict == "201 replayed")
    #expect(try stage.write(nil).verdict == "201")
    #expect(stage.executions == executions + 1)
    try FileManager.default.removeItem(atPath: "\(state)/filler")
    #expect(try answer(stage, "new-\(number)") == "201")
    #expect(try stage.write("new-\(number)").verdict == "201 replayed")
    #expect(stage.executions == executions + 2)
  }
}
