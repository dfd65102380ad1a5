// Signs and verifies tokens with golang-jwt, as a team's own service would. It reads one JSON object from the standard input: the name of
// an algorithm, the private and the public key (PEM, or the text of a secret), and a token to verify. It prints a token of its own and
// what the other token says, or why it is refused.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type question struct {
	Algorithm string `json:"algorithm"`
	Private   string `json:"private"`
	Public    string `json:"public"`
	Token     string `json:"token"`
}

type answer struct {
	Token   string `json:"token"`
	Subject string `json:"subject"`
	Refusal string `json:"refusal"`
}

func keys(asked question) (any, any, error) {
	private, public := []byte(asked.Private), []byte(asked.Public)
	switch asked.Algorithm[:2] {
	case "HS":
		return private, public, nil
	case "RS", "PS":
		signing, err := jwt.ParseRSAPrivateKeyFromPEM(private)
		if err != nil {
			return nil, nil, err
		}
		verifying, err := jwt.ParseRSAPublicKeyFromPEM(public)
		return signing, verifying, err
	case "ES":
		signing, err := jwt.ParseECPrivateKeyFromPEM(private)
		if err != nil {
			return nil, nil, err
		}
		verifying, err := jwt.ParseECPublicKeyFromPEM(public)
		return signing, verifying, err
	default:
		signing, err := jwt.ParseEdPrivateKeyFromPEM(private)
		if err != nil {
			return nil, nil, err
		}
		verifying, err := jwt.ParseEdPublicKeyFromPEM(public)
		return signing, verifying, err
	}
}

func answerTo(asked question) (answer, error) {
	signing, verifying, err := keys(asked)
	if err != nil {
		return answer{}, err
	}
	claims := jwt.RegisteredClaims{Subject: "go", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Minute)), IssuedAt: jwt.NewNumericDate(time.Now())}
	token, err := jwt.NewWithClaims(jwt.GetSigningMethod(asked.Algorithm), claims).SignedString(signing)
	if err != nil {
		return answer{}, err
	}
	read := jwt.RegisteredClaims{}
	find := func(*jwt.Token) (any, error) { return verifying, nil }
	if _, err := jwt.ParseWithClaims(asked.Token, &read, find, jwt.WithValidMethods([]string{asked.Algorithm}), jwt.WithExpirationRequired()); err != nil {
		return answer{Token: token, Refusal: err.Error()}, nil
	}
	return answer{Token: token, Subject: read.Subject}, nil
}

func main() {
	var asked []question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	answers := make([]answer, 0, len(asked))
	for _, one := range asked {
		given, err := answerTo(one)
		if err != nil {
			fmt.Fprintln(os.Stderr, one.Algorithm, err)
			os.Exit(1)
		}
		answers = append(answers, given)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		os.Exit(1)
	}
}
