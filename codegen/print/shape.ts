// How the messages of an rpc become arguments and results, and back.
//
// The rule is in ../README.md, "Arguments and results". Knows nothing of services.

import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { wktPublicImportPaths } from "@bufbuild/protobuf/codegenv2";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import type { GeneratedFile, Printable } from "@bufbuild/protoplugin";

import type { CallStyle } from "../plugin/options.ts";
import {
  argumentName,
  argumentNameOfMessage,
  argumentScope,
  propertyIs,
  propertyOf,
} from "./names.ts";
import { memberType, messageType, needsAssertion, type Side } from "./types.ts";

export interface Argument {
  readonly name: string;
  readonly type: (side: Side) => Printable;
}

/** A request as arguments. */
export interface RequestForm {
  readonly arguments: readonly Argument[];
  /** The request made of the arguments: `{ key, value }`. */
  readonly init: string;
  /** The arguments read from `request`: `request.key`, `request.value`. */
  readonly read: readonly string[];
}

/** A response as a result. */
export interface ResponseForm {
  readonly type: (side: Side) => Printable;
  /** A function from what a handler gives to the response. */
  readonly pack: string;
  /** A function from the response to what a caller receives. */
  readonly unpack: string;
}

type Member = DescField | DescOneof;

export function requestForm(f: GeneratedFile, message: DescMessage, style: CallStyle): RequestForm {
  if (style === "messages") return wholeRequest(f, message, "request");
  if (staysWhole(message)) return wholeRequest(f, message, argumentNameOfMessage(message.name));

  const scope = argumentScope(mentionedSchemas(f, message));
  const parts = message.members.map((member) => {
    return { member, name: scope.take(argumentName(member.localName)) };
  });
  return {
    arguments: parts.map(({ member, name }) => {
      return { name, type: (side) => memberType(f, member, side) };
    }),
    init: objectOf(parts.map(({ member, name }) => propertyOfInit(member, name))),
    read: parts.map(({ member }) => propertyOf("request", member.localName)),
  };
}

function wholeRequest(f: GeneratedFile, message: DescMessage, wanted: string): RequestForm {
  const name = argumentScope([]).take(wanted);
  return {
    arguments: [{ name, type: (side) => messageType(f, message, side) }],
    init: name,
    read: ["request"],
  };
}

export function responseForm(
  f: GeneratedFile,
  message: DescMessage,
  style: CallStyle,
): ResponseForm {
  const [member, another] = message.members;
  if (style === "messages" || staysWhole(message) || another !== undefined) {
    return {
      type: (side) => messageType(f, message, side),
      pack: "(result) => result",
      unpack: "(response) => response",
    };
  }
  if (member === undefined) {
    return { type: () => "void", pack: "() => ({})", unpack: "() => undefined" };
  }
  const name = argumentScope([]).take(argumentName(member.localName));
  return {
    type: (side) => memberType(f, member, side),
    pack: `(${name}) => (${objectOf([propertyOfInit(member, name)])})`,
    unpack: `(response) => ${propertyOf("response", member.localName)}`,
  };
}

/** Whether a message is one argument or result whatever its members are. */
function staysWhole(message: DescMessage): boolean {
  // The types that come with protobuf have a meaning as a whole: nobody wants a Timestamp as
  // seconds and nanos. Empty and the wrappers exist in order to be taken apart.
  // A reference is for `resolve`, and nobody wants to see what is in it.
  if (message.typeName === "plugpb.Ref") return true;
  const isWellKnown = message.file.proto.name in wktPublicImportPaths;
  return isWellKnown && !isWrapperDesc(message) && message.typeName !== "google.protobuf.Empty";
}

function propertyOfInit(member: Member, name: string): string {
  return propertyIs(member.localName, needsAssertion(member) ? `${name}!` : name);
}

function objectOf(properties: readonly string[]): string {
  return properties.length === 0 ? "{}" : `{ ${properties.join(", ")} }`;
}

/** The schemas whose names are in the types of a request's arguments. */
function mentionedSchemas(f: GeneratedFile, message: DescMessage): string[] {
  return message.fields.flatMap((field) =>
    field.message === undefined ? [] : [f.importSchema(field.message, true).name],
  );
}
