public import NIOSSL

/// Certificates for tests, valid until 2126: an authority, a server and a client certificate that it has signed, and an
/// unrelated authority. The keys are used nowhere else.
public enum TestCertificates {
    public static let authority = Array(
        """
        -----BEGIN CERTIFICATE-----
        MIIBcTCCARegAwIBAgIUcXk3TeI8meXYniPYj1RKiP3CeOEwCgYIKoZIzj0EAwIw
        DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI2MTcwMDM3WhgPMjEyNjExMDIxNzAwMzda
        MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE5bd6KrkV
        0I9lIznbk6GVqrT4l4p1qFvMrcMAXlbx7xL7u/wqD0QVe0JF03axBder+Lbpf7gK
        AyJukncmxhCEVqNTMFEwHQYDVR0OBBYEFFHJ/XakUGMa8nj7agLHyPa/5St6MB8G
        A1UdIwQYMBaAFFHJ/XakUGMa8nj7agLHyPa/5St6MA8GA1UdEwEB/wQFMAMBAf8w
        CgYIKoZIzj0EAwIDSAAwRQIgQcZQKEyTQly6fHZcY9N/XpzOiCkz7HFqwaWTqn5z
        iTkCIQDbqlCK4j3rsvKpduN/IKzrNUP+h25nB9Oo+TXHeIfNhw==
        -----END CERTIFICATE-----
        """.utf8)

    public static let otherAuthority = Array(
        """
        -----BEGIN CERTIFICATE-----
        MIIBeDCCAR2gAwIBAgIUSvnXdDGQ/7hVNJJmph4DGBiXgqEwCgYIKoZIzj0EAwIw
        EDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTI2MTcwMDM3WhgPMjEyNjExMDIxNzAw
        MzdaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
        tb3b+MSUvNqMxMF0O2+EViGrux1eTdteA+e9WKAhJ0nMkj2jyUyRrjaIv3n8OXpd
        16qNvdU+j7nlJnzpAOA886NTMFEwHQYDVR0OBBYEFATZtdMaBeaD5Vc8iUmQoF/t
        6SKSMB8GA1UdIwQYMBaAFATZtdMaBeaD5Vc8iUmQoF/t6SKSMA8GA1UdEwEB/wQF
        MAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAK4R3OyDjwRF42wOXwaXEYgS5IG50/ZL
        u8qLbj5DtPBcAiEA3ZwxrGD7sbbThFCt5d6viiULYfufTV1MJczUHWPqL2o=
        -----END CERTIFICATE-----
        """.utf8)

    /// Of a server with the name `kubernetes`.
    public static let server = Array(
        """
        -----BEGIN CERTIFICATE-----
        MIIBlzCCATygAwIBAgIUDgyMMXHjD+2UjRTpmgpRuGGkj50wCgYIKoZIzj0EAwIw
        DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI2MTcwMDM3WhgPMjEyNjExMDIxNzAwMzda
        MCwxFTATBgNVBAoMDHN5c3RlbTpub2RlczETMBEGA1UEAwwKa3ViZXJuZXRlczBZ
        MBMGByqGSM49AgEGCCqGSM49AwEHA0IABLXeTv67XgXCPeB6dV+VuW2GZGF5WDha
        sXMszWoeuIzTseepPGhehJAnnUFNizGcwFCEAPMxG+Ki9cn5U459AkajWTBXMBUG
        A1UdEQQOMAyCCmt1YmVybmV0ZXMwHQYDVR0OBBYEFDMj4WND2wHGxYlxxi7FdFzX
        FVDVMB8GA1UdIwQYMBaAFFHJ/XakUGMa8nj7agLHyPa/5St6MAoGCCqGSM49BAMC
        A0kAMEYCIQC8+J1eQSqpR1OEnCJpxA7xf232ABT9r2KZMMxyOryi4QIhAIPTYEp1
        88nxDLZLFcFelL9LrSW3zd4gyK52bjZ58t2G
        -----END CERTIFICATE-----
        """.utf8)

    public static let serverKey = Array(
        """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMxn8x1NAE94V68rC
        6IhiA7V608WoQGKh8c/dbOvt7dChRANCAAS13k7+u14Fwj3genVflblthmRheVg4
        WrFzLM1qHriM07HnqTxoXoSQJ51BTYsxnMBQhADzMRviovXJ+VOOfQJG
        -----END PRIVATE KEY-----
        """.utf8)

    public static let client = Array(
        """
        -----BEGIN CERTIFICATE-----
        MIIBjTCCATSgAwIBAgIUDgyMMXHjD+2UjRTpmgpRuGGkj54wCgYIKoZIzj0EAwIw
        DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI2MTcwMDM3WhgPMjEyNjExMDIxNzAwMzda
        MCgxFTATBgNVBAoMDHN5c3RlbTpub2RlczEPMA0GA1UEAwwGbm9kZS1hMFkwEwYH
        KoZIzj0CAQYIKoZIzj0DAQcDQgAE7JGnJadJXRWi/CCLdZZQevw1pODZ9wDTRoGa
        ILTx5cs+vGV23Rij86sA6c4MgFjHEe3P9LchpdBHF3x3ysj1RaNVMFMwEQYDVR0R
        BAowCIIGbm9kZS1hMB0GA1UdDgQWBBTBH3jPqaL9jD75uYaErolj+e5zLTAfBgNV
        HSMEGDAWgBRRyf12pFBjGvJ4+2oCx8j2v+UrejAKBggqhkjOPQQDAgNHADBEAiBW
        +ccgeB1B+qmZGRQO4Yh29UHESabipQ5xusbrxJl26gIgPA+G+y8v6OdLOrWDtU7A
        1ZeX78ge2V2FhSCzbu5yHmk=
        -----END CERTIFICATE-----
        """.utf8)

    public static let clientKey = Array(
        """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgViVgk8plcya0H3S5
        NtxA+A8QiJ5JvdoVSsEkMH0IXs+hRANCAATskaclp0ldFaL8IIt1llB6/DWk4Nn3
        ANNGgZogtPHlyz68ZXbdGKPzqwDpzgyAWMcR7c/0tyGl0EcXfHfKyPVF
        -----END PRIVATE KEY-----
        """.utf8)

    /// Another authority, which has signed another certificate of the same server.
    public static let secondAuthority = Array(
        """
        -----BEGIN CERTIFICATE-----
        MIIBeTCCAR+gAwIBAgIUP0QRCr8dGut0V9FvG26YrblLdskwCgYIKoZIzj0EAwIw
        ETEPMA0GA1UEAwwGc2Vjb25kMCAXDTI2MTEyODA0MTUzMFoYDzIxMjYxMTA0MDQx
        NTMwWjARMQ8wDQYDVQQDDAZzZWNvbmQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
        AASj2OGe44xJHeDTxXJwawT2uobR6oxRFynO3yvlZkVrVP15oVtR9t6fpAzCh3FJ
        M6qU2pba2gVIaXLGPU7vXCPEo1MwUTAdBgNVHQ4EFgQUyoKMmNehabh+on2zdUm1
        ZozdRWIwHwYDVR0jBBgwFoAUyoKMmNehabh+on2zdUm1ZozdRWIwDwYDVR0TAQH/
        BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA1YhXkRJx3avJAYCRxxO4b9+uSPCM
        Obn0/L21yxhhGBYCIETWO8t3pf51SPuyREJXZK++yA85+BgiLIadzjtWKjUq
        -----END CERTIFICATE-----
        """.utf8)

    static let secondServer = Array(
        """
        -----BEGIN CERTIFICATE-----
        MIIBmjCCAUCgAwIBAgIUVcEplquRxNIBEFlbk/uRBQGvv4cwCgYIKoZIzj0EAwIw
        ETEPMA0GA1UEAwwGc2Vjb25kMCAXDTI2MTEyODA0MTUzMFoYDzIxMjYxMTA0MDQx
        NTMwWjAsMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxEzARBgNVBAMMCmt1YmVybmV0
        ZXMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARrXEdZ1GdGnmeygIWnrjVvnppJ
        PIdNR5N1g5xCXAic0k0QBNp4kdBdkIL96/OAmwL8ulXp/WKy8UP2ZGTCudwzo1kw
        VzAVBgNVHREEDjAMggprdWJlcm5ldGVzMB0GA1UdDgQWBBTHessJ+p7vix84qUUS
        bidXfjGuGDAfBgNVHSMEGDAWgBTKgoyY16FpuH6ifbN1SbVmjN1FYjAKBggqhkjO
        PQQDAgNIADBFAiBTbCpJn5W7XbsB/8O2Lbeb98q6nSnEEtW/GK33t+12xQIhAI7u
        blzlqxrJsPeCz27yVxPLONDWjopxcK6l59DCLg+B
        -----END CERTIFICATE-----
        """.utf8)

    static let secondServerKey = Array(
        """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgnm35dMfyfupedD5N
        TlKCPZ3z3jwnGkraBoW1QGQR9IyhRANCAARrXEdZ1GdGnmeygIWnrjVvnppJPIdN
        R5N1g5xCXAic0k0QBNp4kdBdkIL96/OAmwL8ulXp/WKy8UP2ZGTCudwz
        -----END PRIVATE KEY-----
        """.utf8)

    /// - Parameters:
    ///   - requiresClientCertificate: whether clients have to show a certificate.
    ///   - bySecond: whether the second authority has signed the server's certificate.
    public static func serverConfiguration(
        requiresClientCertificate: Bool, bySecond: Bool = false
    ) throws -> TLSConfiguration {
        let (server, key) = bySecond ? (secondServer, secondServerKey) : (server, serverKey)
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(server).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem)))
        if requiresClientCertificate {
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authority))
            tls.certificateVerification = .noHostnameVerification
        }
        return tls
    }
}
