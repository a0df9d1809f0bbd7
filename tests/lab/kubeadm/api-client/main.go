// api-client asks an API server the same thing again and again, over a new TLS connection each time, with credentials and
// CAs that it has read once at its start, as client-go does. It shows whether a rotation leaves any client behind.
//
// In a pod it uses the pod's ServiceAccount, outside a kubeconfig. A TLS failure, 401 or 403 ends it with status 1, unless
// -count says to count them; a connection that is refused or reset is counted and tried again, for servers do restart.
//
// Lines: TIME PATH ok|tls|401|403|reset|other MILLISECONDS [what went wrong]; last: TIME end attempts=N ok=N tls=N ...
package main

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// closing asks for one connection a request: an open connection would hide what a new handshake shows.
type closing struct{ next http.RoundTripper }

func (c closing) RoundTrip(request *http.Request) (*http.Response, error) {
	request.Close = true
	return c.next.RoundTrip(request)
}

func config(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// kind sorts a failure. A server that refuses a certificate says so with an alert, which Go calls a remote error.
func kind(err error) string {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	if errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &hostname) ||
		strings.Contains(err.Error(), "x509:") || strings.Contains(err.Error(), "remote error: tls:") {
		return "tls"
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) {
		return "reset"
	}
	return "other"
}

func attempt(client *http.Client, url string) (string, string) {
	response, err := client.Get(url)
	if err != nil {
		return kind(err), err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return kind(err), err.Error()
	}
	switch response.StatusCode {
	case http.StatusOK:
		return "ok", ""
	case http.StatusUnauthorized:
		return "401", string(body)
	case http.StatusForbidden:
		return "403", string(body)
	}
	return "other", fmt.Sprintf("status %d %s", response.StatusCode, body)
}

func say(format string, words ...interface{}) {
	line := strings.ReplaceAll(fmt.Sprintf(format, words...), "\n", " ")
	fmt.Printf("%s %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), line)
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig; without one the pod's ServiceAccount")
	paths := flag.String("paths", "/api/v1/namespaces/default", "what to GET, with commas between")
	every := flag.Duration("every", time.Second, "pause between rounds")
	length := flag.Duration("for", 0, "end after this time; 0: never")
	count := flag.Bool("count", false, "count TLS failures, 401 and 403 to the end instead of ending at the first")
	quiet := flag.Bool("quiet", false, "no line for what went well")
	flag.Parse()

	settings, err := config(*kubeconfig)
	if err != nil {
		say("no credentials: %v", err)
		os.Exit(2)
	}
	// HTTP/2 would keep its connection whatever the request says.
	settings.TLSClientConfig.NextProtos = []string{"http/1.1"}
	settings.Wrap(func(next http.RoundTripper) http.RoundTripper { return closing{next} })
	transport, err := rest.TransportFor(settings)
	if err != nil {
		say("no credentials: %v", err)
		os.Exit(2)
	}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	var end <-chan time.Time
	if *length > 0 {
		end = time.After(*length)
	}
	kinds := []string{"ok", "tls", "401", "403", "reset", "other"}
	counts := map[string]int{}
	attempts := 0
	finish := func() {
		totals := fmt.Sprintf("end attempts=%d", attempts)
		for _, name := range kinds {
			totals += fmt.Sprintf(" %s=%d", name, counts[name])
		}
		say("%s", totals)
		if counts["tls"]+counts["401"]+counts["403"] > 0 {
			os.Exit(1)
		}
		os.Exit(0)
	}
	for {
		for _, path := range strings.Split(*paths, ",") {
			began := time.Now()
			what, why := attempt(client, strings.TrimSuffix(settings.Host, "/")+path)
			attempts++
			counts[what]++
			if what != "ok" || !*quiet {
				say("%s %s %d %s", path, what, time.Since(began).Milliseconds(), why)
			}
			if !*count && (what == "tls" || what == "401" || what == "403") {
				finish()
			}
		}
		select {
		case <-stop:
			finish()
		case <-end:
			finish()
		case <-time.After(*every):
		}
	}
}
