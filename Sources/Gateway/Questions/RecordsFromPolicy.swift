import Background
import Policies
import Upstream

extension Generation {
  func instance(_ name: String) -> Instance? {
    policy.directory.index(of: Array(name.utf8).span).map { policy.instances[Int($0)] }
  }

  /// Where the records of an instance are read; nil: there is no such instance, or it must not be asked now.
  func records(of instance: String) -> RecordEndpoint? {
    guard let index = policy.directory.index(of: Array(instance.utf8).span) else { return nil }
    let (instance, state) = (policy.instances[Int(index)], states.states[Int(index)])
    guard !instance.isMisconfigured, !state.failsHealthChecks, !state.isOpen, state.keyIndex < instance.keys.count
    else {
      return nil
    }
    return RecordEndpoint(instance, key: instance.keys[state.keyIndex])
  }
}

extension RecordEndpoint {
  fileprivate init(_ instance: Instance, key: Secret) {
    let settings = UpstreamSettings(instance, loops: 1)
    self.init(
      url: settings.url.dropLast() + instance.url.pathPrefix, host: instance.url.authority, key: key.reveal())
    caBundle = instance.tls.caBundle?.bytes
    certificate = instance.tls.certificate?.bytes
    privateKey = instance.tls.key?.bytes
    connectTo = settings.connectTo
  }
}
