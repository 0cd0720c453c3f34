/// Why the store, or the key to it, was refused: a code, the file it is about, and what to do next.
///
/// Each kind of damage has its own code. None of them is ever answered by writing: the file stays as it was found.
public struct VaultError: Error, Sendable {
  public enum Code: Sendable, Hashable, CaseIterable {
    // The store's file.
    case missing, exists, leftoverLog, locked, storePermissions, foreign, truncated, damaged, newerSchema, inputOutput,
      forbidden
    // What is in it.
    case secretMismatch, tokenMismatch, stateMismatch, dataKeyMismatch, badName, badSubject, tooLarge, tooMany
    // The master key.
    case keyMissing, keyExists, keyLocked, keyPermissions, keyMalformed, keyTruncated, wrongKey, wrongKeyKind,
      passphraseTooShort
    case noCredentials
  }

  public let code: Code
  /// The file that was refused; for `badName`, `badSubject` and `tooLarge` the secret's name, or the token's route.
  public let subject: String
  /// What the system or SQLite said, or which value was found.
  public let detail: String?

  init(_ code: Code, _ subject: String, _ detail: String? = nil) {
    self.code = code
    self.subject = subject
    self.detail = detail
  }

  /// Of sysexits.h.
  public var exitStatus: Int32 {
    switch code {
    case .badName, .badSubject: 64
    case .foreign, .truncated, .damaged, .newerSchema, .secretMismatch, .tokenMismatch, .stateMismatch,
      .dataKeyMismatch,
      .keyMalformed, .keyTruncated, .tooLarge, .leftoverLog:
      65
    case .locked, .keyLocked: 69
    case .exists, .keyExists, .inputOutput, .tooMany: 74
    case .storePermissions, .keyPermissions, .forbidden: 77
    case .missing, .keyMissing, .wrongKey, .wrongKeyKind, .passphraseTooShort, .noCredentials: 78
    }
  }

  /// One sentence, without a full stop.
  public var message: String {
    let reason = detail.map { ": \($0)" } ?? ""
    return switch code {
    case .missing: "there is no store at \(subject)"
    case .exists: "the store \(subject) exists, and is never overwritten"
    case .leftoverLog: "there is no store at \(subject), but the write-ahead log of one lies beside it"
    case .locked: "the store \(subject) is open in another process\(detail.map { " (pid \($0))" } ?? "")"
    case .storePermissions: "the store \(subject) is not private\(reason)"
    case .foreign: "\(subject) is not a Chatelaine store\(reason)"
    case .truncated: "the store \(subject) is cut short\(reason)"
    case .damaged: "the store \(subject) is damaged\(reason)"
    case .newerSchema: "the store \(subject) was written by a newer version\(reason)"
    case .inputOutput: "\(subject): the system refused\(reason)"
    case .forbidden: "\(subject): this user may not do that\(reason)"
    case .secretMismatch:
      "the store \(subject) has a secret that does not belong where it lies\(reason): its row was swapped, moved or changed"
    case .tokenMismatch:
      "the store \(subject) has a token that does not belong where it lies\(reason): its row was swapped, moved or changed"
    case .stateMismatch:
      "the store \(subject) has a login under way that does not belong where it lies\(reason): its row was swapped, moved or changed"
    case .dataKeyMismatch: "the store \(subject) has a data key that its master key does not open: its row was changed"
    case .badName: "\"\(subject)\" cannot be a secret's name"
    case .badSubject: "a token of the route \(subject) cannot be stored for that subject"
    case .tooLarge: "the value for \(subject) is too large\(reason)"
    case .tooMany: "the store \(subject) is full\(reason)"
    case .keyMissing: "there is no key at \(subject)"
    case .keyExists: "\(subject) exists, and a key is never overwritten"
    case .keyLocked: "another process is replacing the key \(subject)"
    case .keyPermissions: "the key \(subject) is not private\(reason)"
    case .keyMalformed: "\(subject) is not a master key of Chatelaine\(reason)"
    case .keyTruncated: "the key \(subject) is cut short"
    case .wrongKey: "the key does not open the store \(subject)"
    case .wrongKeyKind: "the store \(subject) wants another kind of key\(reason)"
    case .passphraseTooShort: "the passphrase in \(subject) is too short\(reason)"
    case .noCredentials: "the credential \"\(subject)\" cannot be read: CREDENTIALS_DIRECTORY is not set"
    }
  }

  /// What to do next, in one sentence.
  public var hint: String {
    switch code {
    case .missing: "run \"chatelaine init\" to create it, or correct \"store\".\"path\" in the configuration"
    case .exists, .keyExists: "move it away first if you mean to start anew"
    case .leftoverLog: "restore the store from a backup together with its -wal file, or move that file away"
    case .locked: "stop the other process, or let the command go through it: is \"admin\" configured alike?"
    case .storePermissions: "the store and its directory belong to the user that runs Chatelaine, modes 0600 and 0700"
    case .foreign: "\"store\".\"path\" names a file that Chatelaine did not make; it was left alone"
    case .truncated, .damaged: "restore it from a backup; it was left as it is"
    case .newerSchema: "run the version that wrote it, or a newer one"
    case .forbidden: "run it as the user that the directory belongs to, or choose another place"
    case .inputOutput: "look at the disk, the mount and its permissions"
    case .secretMismatch: "restore the store from a backup, or remove the secret's row; it was left as it is"
    case .tokenMismatch: "restore the store from a backup, or remove the token's row; it was left as it is"
    case .stateMismatch: "begin the login anew; its row was left as it is, and is forgotten within two hours"
    case .dataKeyMismatch: "restore the store from a backup; it was left as it is"
    case .badName: "use letters, digits and . _ - in parts joined by /, as in codegate/api_key; 128 bytes at most"
    case .badSubject: "a subject has 1 to 256 bytes and no control characters"
    case .tooLarge: "a secret or token has 65536 bytes at most"
    case .tooMany: "remove secrets that no route uses, and drop tokens of subjects that are gone"
    case .keyMissing: "run \"chatelaine key generate FILE\", or correct \"store\".\"key\" in the configuration"
    case .keyLocked: "nothing was changed; wait until it is done"
    case .keyPermissions: "make it a regular file of the user that runs Chatelaine, mode 0400"
    case .keyMalformed, .keyTruncated: "restore it from a backup; \"chatelaine key generate\" makes new ones"
    case .wrongKey: "\"store\".\"key\" names another store's key, or one from before a rotation; nothing was changed"
    case .wrongKeyKind: "a store opens with the kind of key it was made with; \"chatelaine key rotate\" changes it"
    case .passphraseTooShort: "use 12 bytes or more: four random words do"
    case .noCredentials: "start it from a systemd unit with LoadCredential= or LoadCredentialEncrypted="
    }
  }
}

extension VaultError: Equatable {
  /// By code: what the sentence says is for people.
  public static func == (one: VaultError, other: VaultError) -> Bool {
    one.code == other.code
  }
}
