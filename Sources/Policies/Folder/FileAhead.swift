import Digests
import Dispatch
import Synchronization
import System

/// A large policy file that a separate thread reads, parses and digests while other files are read.
final class FileAhead: Sendable {
  /// Smaller files are not worth a thread.
  static let bytesMin = 1 << 20

  private let file = Promise<Result<FileContent, FileFault>>()
  private let document = Promise<JSONReader.Result>()
  private let hash = Promise<Digest>()

  init(_ path: String) {
    startThread(named: "policy") { [self] in
      let result = Result { () throws(FileFault) in try fileContent(path, byteCountMax: JSONReader.byteCountMax) }
      file.fulfil(result)
      guard case .success(let content) = result else { return }
      document.fulfil(JSONReader.read(content.bytes))
      hash.fulfil(SHA256.digest(of: content.bytes.span))
    }
  }

  func content() -> Result<FileContent, FileFault> { file.wait() }

  /// Only if there is content; likewise `digest`.
  func parsed() -> JSONReader.Result { document.wait() }

  func digest() -> Digest { hash.wait() }
}

/// A value that one thread makes and one other waits for.
private final class Promise<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)
  private let isFulfilled = DispatchSemaphore(value: 0)

  func fulfil(_ made: Value) {
    value.withLock { $0 = made }
    isFulfilled.signal()
  }

  /// May be called again.
  func wait() -> Value {
    isFulfilled.wait()
    isFulfilled.signal()
    guard let made = value.withLock({ $0 }) else { preconditionFailure("signalled without a value") }
    return made
  }
}
